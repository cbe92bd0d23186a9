// What the admin page says of requests: charts and the numbers behind them, counts and the lists that they count, and the
// parts of a key's screen. In Chromium, against the built Worker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { COUNTRY } from "./harness/tls.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, show, signedIn, status, useKey } from "./page.mjs";

/** @import { Page } from "playwright-core" */
/** @import { CreatedKey, UsagePoint } from "../../types/admin-api.js" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const HTML = `<img src=x onerror="document.title='run'">`;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {CreatedKey} Its requests: three accepted, two refused. */
let used;

const writeWith = (/** @type {string} */ key) =>
  gate.send({ method: "POST", target: "/api/orders", headers: { Authorization: `Bearer ${key}` } });

before(async () => {
  gate = await startGate();
  // Well before a full hour, so that none comes in between.
  await gate.setClock(HOUR_MS - (Date.now() % HOUR_MS) + 5 * 60_000);
  owner = await gate.owner();
  await owner.stepUp();
  used = await owner.createKey({ name: HTML, scopes: ["orders:read"], rateLimit: { perMinute: 3, perDay: null } });
  for (let i = 0; i < 2; i += 1) assert.equal((await useKey(gate, used.plaintextKey)).status, 200);
  const headers = { Authorization: `Bearer ${used.plaintextKey}`, "CF-Connecting-IP": "2001:db8:1:2:3::4" };
  const last = await gate.isolates[0].send({ target: "/api/orders", headers, tls: "TLSv1.3" });
  assert.equal(last.status, 200);
  assert.equal((await useKey(gate, used.plaintextKey)).status, 429);
  assert.equal((await writeWith(used.plaintextKey)).status, 403);
  assert.equal((await useKey(gate, "kw_live_8wJq2rT5mZx1cV7bN4pLkH9dSf3gYa6eUo0i")).status, 401);
  await waitFor(
    "all of it to be told",
    async () => {
      await gate.advance(60_000); // reports gather for some minutes
      const { points } = await owner.must("GET", "/usage?scope=deployment");
      const { accepted, refused, unattributed } = points.find((/** @type {UsagePoint} */ point) => point.accepted > 0);
      assert.deepEqual(
        { accepted, refused, unattributed },
        { accepted: 3, refused: { INSUFFICIENT_SCOPE: 1, RATE_LIMITED: 1 }, unattributed: { INVALID_API_KEY: 1 } },
      );
      return true;
    },
    { everyMs: 500 },
  );
  await owner.stepUp();
});

after(() => gate?.stop());

/** What stands in the table behind a chart. */
async function tableOf(/** @type {import("playwright-core").Locator} */ part) {
  await part.getByText("As a table").click();
  return part.getByTestId("usage-row").locator("td").allInnerTexts();
}

const THE_FIVE = ["3", "2", "INSUFFICIENT_SCOPE 1, RATE_LIMITED 1"];

test("charts of a key and of all keys say in a table and to screen readers what was accepted and refused, and why", async () => {
  await signedIn(gate, `/keys/${used.apiKey.id}`, {}, async (page) => {
    for (const [path, name] of [
      [`/keys/${used.apiKey.id}`, HTML],
      ["/overview", "Overview"],
    ]) {
      await show(page, gate, path);
      await heading(page, name);
      const chart = page.getByRole("img", { name: "Requests: Accepted 3, INSUFFICIENT_SCOPE 1, RATE_LIMITED 1" });
      await chart.waitFor();
      const panel = page.locator("section", { has: chart });
      assert.deepEqual((await tableOf(panel)).slice(1), THE_FIVE);
      await panel.getByRole("link", { name: "30 days" }).click();
      await waitFor("days", async () => (await panel.getByText("Day (UTC)").count()) > 0);
      assert.match(page.url(), /period=30d/);
      await chart.waitFor();
    }
    await page.reload();
    await page.getByRole("link", { name: "30 days" }).and(page.locator("[aria-current]")).waitFor();
  });
});

test("the operator sees what belongs to no key, and another tenant's owner is not asked", async () => {
  await signedIn(gate, "/overview", {}, async (page) => {
    await page.getByRole("link", { name: "All tenants" }).click();
    const chart = page.getByRole("img", { name: "Refusals of no key: INVALID_API_KEY 1" });
    await chart.waitFor();
    assert.match(page.url(), /scope=deployment/);
    const row = page.getByTestId("refusal-row");
    await row.filter({ hasText: "INVALID_API_KEY" }).waitFor();
    assert.equal(await row.count(), 1);
  });
  const person = { email: "other@example.com", password: "another tenant's owner" };
  await owner.must("POST", "/tenants", { name: "Other", owner: person });
  await signedIn(gate, "/overview?scope=deployment", { person }, async (page) => {
    await heading(page, "Overview");
    await page.getByText("No requests in this time.").waitFor();
    assert.equal(await page.getByRole("link", { name: "All tenants" }).count(), 0);
  });
});

test("each count of the overview is that of the list that it leads to", async () => {
  await owner.createKey({ expiresAt: new Date(gate.now() + 5 * DAY_MS).toISOString() });
  const { apiKey } = await owner.createKey();
  await owner.rotate(apiKey.id, { revokeOld: false });
  await owner.revoke((await owner.createKey()).apiKey.id);
  await signedIn(gate, "/overview", {}, async (page) => {
    await show(page, gate, "/overview?period=7d");
    await page.getByRole("link", { name: "7 days" }).and(page.locator("[aria-current]")).waitFor();
    /** @type {Record<string, number>} */
    const counts = {};
    for (const name of ["active", "nearLimit", "expiring", "unused", "rotating"]) {
      const link = page.getByTestId(name);
      const [, query] = (await link.getAttribute("href")).split("?");
      counts[name] = Number.parseInt(await link.innerText(), 10);
      assert.equal((await owner.must("GET", `/api-keys?${query}`)).total, counts[name], name);
    }
    assert.ok(counts.active > 3);
    assert.deepEqual(counts, { ...counts, nearLimit: 1, expiring: 1, unused: 0, rotating: 2 });
    for (const [name, count] of Object.entries(counts)) {
      await page.getByTestId(name).click();
      await heading(page, "Keys");
      await waitFor(`the list: ${name}`, async () => (await page.getByTestId("key-row").count()) === count);
      await page.goBack();
      await heading(page, "Overview");
    }
  });
});

test("a key's screen has its latest refusals with reason, route and request id, and what people typed stays text", async () => {
  await signedIn(gate, `/keys/${used.apiKey.id}`, {}, async (page) => {
    await heading(page, HTML);
    const refused = page.getByTestId("refusal-row").filter({ hasText: "INSUFFICIENT_SCOPE" });
    await refused.getByText("POST /api/orders*").waitFor();
    const { refusals } = await owner.must("GET", `/refusals?keyId=${used.apiKey.id}&code=INSUFFICIENT_SCOPE`);
    await refused.getByText(refusals[0].requestId).waitFor();
    const country = new Intl.DisplayNames("en", { type: "region" }).of(COUNTRY);
    await page.getByText(`from 2001:db8:1:2::/64 (${country}) on /api/orders*. Reports come up to`).waitFor();
    assert.equal(await page.locator("img[src=x]").count(), 0);
    assert.doesNotMatch(await page.title(), /^run/);
  });
});

test("a key that was not used, as far as is known, is not said to be never used", async () => {
  const { apiKey } = await owner.createKey({ name: "New" });
  await signedIn(gate, `/keys/${apiKey.id}`, {}, async (page) => {
    await heading(page, "New");
    await page.getByText("Last use: not reported yet").waitFor();
    await page.getByText("No requests in this time.").waitFor();
  });
});

test("a revoked key says since when, by whom and why", async () => {
  const { apiKey } = await owner.createKey({ name: "Leaked" });
  await owner.revoke(apiKey.id, HTML);
  await signedIn(gate, `/keys/${apiKey.id}`, {}, async (page) => {
    await heading(page, "Leaked");
    await page.getByText(`Revoked just now by ${OWNER.email}: ${HTML}`).waitFor();
  });
});

test("what a key may call, and why not the rest", async () => {
  await signedIn(gate, `/keys/${used.apiKey.id}`, {}, async (page) => {
    await heading(page, HTML);
    await page.getByRole("link", { name: "Access" }).click();
    await page.waitForURL(/tab=access/);
    const rows = page.getByTestId("access-row");
    await rows.filter({ hasText: "orders:read" }).getByText("Yes").waitFor();
    const refused = rows.filter({ hasText: "orders:write" });
    await refused.getByText("No", { exact: true }).waitFor();
    await refused.getByText("INSUFFICIENT_SCOPE").waitFor();
  });
});

test("what would happen to a request with a key is said step by step, with a line that sends it", async () => {
  await signedIn(gate, `/keys/${used.apiKey.id}?tab=test`, {}, async (page) => {
    await heading(page, HTML);
    await page.getByLabel("Path").fill("/api/orders?q='$(id)'");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("It would pass").waitFor();
    const url = `${gate.url}/api/orders?q='\\''$(id)'\\'''`;
    assert.equal(await page.getByTestId("curl").innerText(), `curl -i -H "Authorization: Bearer $API_KEY" '${url}`);
    await page.getByLabel("Method").selectOption("POST");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("It would be refused: 403 INSUFFICIENT_SCOPE").waitFor();
  });
});

test("the timeline has what was done to a key, and both keys of a rotation; a silent old one is ended there", async () => {
  const { apiKey } = await owner.createKey({ name: "Rotated" });
  await owner.rotate(apiKey.id, { revokeOld: false });
  const viewer = { email: "timeline.viewer@example.com", password: "a viewer's long password" };
  await owner.must("POST", "/members", { ...viewer, role: "viewer" });
  const path = `/keys/${apiKey.id}?tab=timeline`;
  const sides = (/** @type {Page} */ page) => page.getByTestId("side");
  await signedIn(gate, path, { person: viewer }, async (page) => {
    await heading(page, "Rotated");
    await sides(page).filter({ hasText: "New key" }).getByRole("img", { name: "0 accepted, 0 refused" }).waitFor();
    await sides(page).filter({ hasText: "Old key" }).getByRole("img").waitFor();
    assert.equal(await page.getByRole("button", { name: "end it" }).count(), 0, "a viewer ends nothing");
  });
  await signedIn(gate, path, {}, async (page) => {
    await heading(page, "Rotated");
    await page.getByText("rotated key").waitFor();
    await page.getByRole("button", { name: "Silent for 24 hours: end it" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke key" }).click();
    await page.getByTestId("refused-by").waitFor();
    await page.getByText("revoked key").waitFor();
    await sides(page).filter({ hasText: "Old key" }).getByText("Revoked").waitFor();
    assert.equal((await owner.get(apiKey.id)).status, "REVOKED");
  });
});

test("a part that cannot be read says so, and is there once it can be", async () => {
  await signedIn(gate, `/keys/${used.apiKey.id}`, { expectedErrors: [status(503)] }, async (page) => {
    await heading(page, HTML);
    await page.getByTestId("refusal-row").first().waitFor();
    await gate.objects.faults({ "Registry.fetch": { fail: true } });
    try {
      await page.getByRole("link", { name: "Access" }).click();
      await page.getByText("STORE_UNAVAILABLE").waitFor();
    } finally {
      await gate.objects.faults({ "Registry.fetch": null });
    }
    await waitFor("the routes", async () => {
      await page.getByRole("button", { name: "Try again" }).click({ timeout: 1_000 });
      await page.getByText("STORE_UNAVAILABLE").waitFor({ state: "detached", timeout: 1_000 });
      return true;
    });
    await page.getByTestId("access-row").first().waitFor();
  });
});
