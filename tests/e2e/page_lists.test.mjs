// The admin page's list of keys: views, filters, order, pages, what is done with many of them, and the export. In Chromium,
// against the built Worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, show, signedIn } from "./page.mjs";

/** @import { Page } from "playwright-core" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const DAY_MS = 86_400_000;
const HOSTILE = `=1+1 <img src=x onerror="document.title='broken'">`;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

before(async () => {
  gate = await startGate();
  owner = await gate.owner();
  await owner.stepUp();
  const inDays = (/** @type {number} */ days) => new Date(gate.now() + days * DAY_MS).toISOString();
  for (let i = 0; i < 103; i += 1) await owner.createKey({ name: `Plain ${String(i).padStart(3, "0")}` });
  await owner.createKey({ name: "Soon over", expiresAt: inDays(7), tags: ["soon"] });
  await owner.createKey({ name: "Later over", expiresAt: inDays(300) });
  const { apiKey: paused } = await owner.createKey({ name: "On hold", scopes: ["orders:write"] });
  await owner.must("POST", `/api-keys/${paused.id}/pause`, {});
  await owner.revoke((await owner.createKey({ name: "Gone", testMode: true })).apiKey.id);
  await owner.rotate((await owner.createKey({ name: "Turning" })).apiKey.id, { revokeOld: false });
  await owner.createKey({ name: HOSTILE, tags: [HOSTILE.slice(0, 50)] });
});

after(() => gate?.stop());

const rowsOf = (/** @type {Page} */ page) => page.getByTestId("key-row");
const names = (/** @type {Page} */ page) => rowsOf(page).getByRole("link").allInnerTexts();
/**
 * Awaits how many keys the list says that there are.
 * @param {Page} page
 * @param {string | RegExp} text
 */
const says = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();

test("each view says how many keys it has, and has that many", async () => {
  await signedIn(gate, "/keys", {}, async (page) => {
    const views = page.getByRole("navigation", { name: "Views" });
    for (const [view, count] of /** @type {[string, number][]} */ ([
      ["All", 110],
      ["Active", 108],
      ["Expiring", 1],
      ["Unused", 0],
      ["Rotating", 2],
      ["Near limit", 0],
      ["Paused", 1],
      ["Revoked", 1],
    ])) {
      const link = views.getByRole("link", { name: new RegExp(`^${view}\\s*${count}$`) });
      await link.click();
      await waitFor(view, async () => (await link.getAttribute("aria-current")) === "page");
      if (count === 0) await page.getByText("No key matches.").waitFor();
      else await says(page, count > 50 ? `1–50 of ${count} keys` : new RegExp(`^${count} keys?$`));
    }
    for (const [address, view] of [
      ["/keys?nearLimit=true", "Near limit"],
      ["/keys?rotating=true", "Rotating"],
      [`/keys?expiresBefore=${new Date(gate.now() + DAY_MS).toISOString()}`, "Expiring"],
    ]) {
      await show(page, gate, address);
      await views.locator("[aria-current=page]", { hasText: view }).waitFor();
    }
  });
});

test("each filter narrows the list and stands in the address, and is taken off by its chip", async () => {
  const { member } = await owner.must("GET", "/session");
  await signedIn(gate, "/keys", {}, async (page) => {
    await heading(page, "Keys");
    await page.getByRole("button", { name: "Filter" }).click();
    for (const [label, value, name, count] of /** @type {[string, string, string, number][]} */ ([
      ["Scope", "orders:write", "scope", 1],
      ["Mode", "test", "mode", 1],
      ["Kind", "secret", "kind", 110],
      ["Created by", member.id, "createdBy", 110],
      ["Status", "REVOKED", "status", 1],
      ["Last use", "365", "unusedDays", 0],
    ])) {
      const field = page.getByRole("combobox", { name: label, exact: true });
      // People are read once they are asked for.
      await field.locator("option").nth(1).waitFor({ state: "attached" });
      await field.selectOption(value);
      if (count === 0) await page.getByText("No key matches.").waitFor();
      else await says(page, count > 50 ? `of ${count} keys` : new RegExp(`^${count} keys?$`));
      await page.waitForURL((url) => url.hash.includes(`${name}=${encodeURIComponent(value)}`));
      if (name === "status") await field.selectOption("");
      else await page.getByRole("button", { name: /: remove/ }).click();
      await says(page, "1–50 of 110 keys");
      await page.waitForURL(/#\/keys$/);
    }
    await page.getByLabel("Tag").fill("soon");
    await page.getByLabel("Tag").press("Enter");
    await says(page, /^1 key$/);
    await page.reload();
    await says(page, /^1 key$/);
    await page.getByRole("button", { name: "Tag: soon" }).waitFor();
  });
});

test("the heading of a column sorts by it, both ways, and says so", async () => {
  await signedIn(gate, "/keys", {}, async (page) => {
    const sorted = async (/** @type {string} */ column) =>
      page.getByRole("columnheader", { name: column }).getAttribute("aria-sort");
    await waitFor("the order at first", async () => (await sorted("Created")) === "descending");
    for (const [column, way, first] of [
      ["Name", "ascending", HOSTILE],
      ["Name", "descending", "Turning"],
      ["Created", "descending", HOSTILE],
      ["Created", "ascending", "Plain 000"],
      ["Expires", "ascending", "Soon over"],
    ]) {
      await page.getByRole("button", { name: column, exact: true }).click();
      const isSorted = async () => (await names(page))[0] === first && (await sorted(column)) === way;
      await waitFor(`${column} ${way}`, isSorted);
    }
    await page.getByRole("button", { name: "Last used", exact: true }).click();
    await waitFor("the latest use", async () => (await sorted("Last used")) === "descending");
    assert.ok(page.url().includes("sort=lastUsed"), page.url());
    await page.reload();
    await waitFor("the same order", async () => (await sorted("Last used")) === "descending");
  });
});

test("pages are in the address: forth and back, by links and by the browser, and nothing piles up", async () => {
  await signedIn(gate, "/keys?q=Plain&sort=name", {}, async (page) => {
    await says(page, "1–50 of 103 keys");
    const first = await names(page);
    await page.getByRole("link", { name: "Next" }).click();
    await says(page, "51–100 of 103 keys");
    await page.getByRole("link", { name: "Next" }).click();
    await says(page, "101–103 of 103 keys");
    assert.deepEqual(await names(page), ["Plain 100", "Plain 101", "Plain 102"]);
    assert.equal(await page.getByRole("link", { name: "Next" }).count(), 0);
    await page.goBack();
    await says(page, "51–100 of 103 keys");
    await page.goForward();
    await says(page, "101–103 of 103 keys");
    await page.getByRole("link", { name: "Previous" }).click();
    await says(page, "51–100 of 103 keys");
    assert.equal(await rowsOf(page).count(), 50);
    await page.reload();
    await says(page, "51–100 of 103 keys");
    await page.getByRole("link", { name: "Previous" }).click();
    await says(page, "1–50 of 103 keys");
    assert.deepEqual(await names(page), first);
    await page.getByRole("link", { name: "Next" }).click();
    await says(page, "51–100");
    await page.getByLabel("Search").fill("Plain 00");
    await says(page, /^10 keys$/);
    assert.ok(!page.url().includes("cursor"), page.url());
  });
});

test("each key has its last 24 hours and what of the day's limit that is, without the list waiting for them", async () => {
  const { apiKey, plaintextKey } = await owner.createKey({ name: "Busy", rateLimit: { perMinute: null, perDay: 50 } });
  for (let i = 0; i < 3; i += 1) await gate.send({ target: "/api/orders", headers: bearer(plaintextKey) });
  await waitFor(
    "all of it to be told",
    async () => {
      // A report may come before the last request, and the next one only minutes later.
      await gate.advance(60_000);
      await gate.send({ target: "/api/orders", method: "POST", headers: bearer(plaintextKey) });
      const { keys } = await owner.must("GET", `/api-keys/usage?ids=${apiKey.id}`);
      return keys[0].accepted.reduce((sum, one) => sum + one, 0) === 3;
    },
    { everyMs: 500 },
  );
  await signedIn(gate, "/settings", {}, async (page) => {
    await heading(page, "Settings");
    /** @type {import("playwright-core").Route[]} */
    const held = [];
    await page.route(/\/api-keys\/usage\?/, (route) => held.push(route));
    await show(page, gate, "/keys?q=Busy");
    const row = rowsOf(page).filter({ hasText: "Busy" });
    await row.waitFor();
    await waitFor("the one question", () => held.length === 1);
    await held[0].continue();
    await row.getByRole("img", { name: /^Last 24 hours: 3 accepted/ }).waitFor();
    await row.getByText("3 of 50").waitFor();
  });
});

test("an export has every key that is filtered, in its order, and no key's text", async () => {
  await signedIn(gate, "/keys?status=ACTIVE&sort=name", {}, async (page) => {
    /** @param {"CSV" | "JSON"} format */
    const saved = async (format) => {
      await page.getByRole("button", { name: "Export" }).click();
      const dialog = page.getByRole("dialog", { name: /^Export \d+ keys$/ });
      await dialog
        .getByLabel("Format")
        .selectOption({ label: format === "CSV" ? "CSV, for spreadsheets" : "JSON, a key a line" });
      const downloaded = page.waitForEvent("download");
      await dialog.getByRole("button", { name: "Export" }).click();
      const download = await downloaded;
      await dialog.waitFor({ state: "detached" });
      return { name: download.suggestedFilename(), text: readFileSync(await download.path(), "utf8") };
    };
    await heading(page, "Keys");
    const { total } = await owner.must("GET", "/api-keys?status=ACTIVE&limit=1");
    const json = await saved("JSON");
    assert.match(json.name, /^api-keys-\d{4}-\d\d-\d\d\.jsonl$/);
    const keys = json.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(keys.length, total);
    assert.deepEqual(
      keys.slice(0, 2).map(({ name }) => name),
      [HOSTILE, "Busy"],
    );
    assert.ok(keys.every((key) => !("plaintextKey" in key) && key.last4.length === 4));
    const csv = await saved("CSV");
    assert.match(csv.name, /\.csv$/);
    assert.equal(csv.text.trimEnd().split("\n").length, total + 1);
    assert.doesNotMatch(csv.text, /kw_live_[0-9A-Za-z]{20}/);
    assert.doesNotMatch(csv.text, /^"?=|,"?=/m, "no formula");
  });
});

test("an export that is more than one call can hold is saved whole", async () => {
  const wide = Object.fromEntries([..."abcdefghijklmnopqrst"].map((name) => [name, "x".repeat(500)]));
  for (let i = 0; i < 120; i += 1) await owner.createKey({ name: `Wide ${i}`, metadata: wide });
  await signedIn(gate, "/keys?q=Wide", {}, async (page) => {
    let calls = 0;
    page.on("request", (request) => {
      calls += request.url().includes("/export?") ? 1 : 0;
    });
    await page.getByRole("button", { name: "Export" }).click();
    await page.getByRole("dialog").getByLabel("Format").selectOption("json");
    const downloaded = page.waitForEvent("download");
    await page.getByRole("dialog").getByRole("button", { name: "Export" }).click();
    const text = readFileSync(await (await downloaded).path(), "utf8");
    const ids = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).id);
    assert.equal(new Set(ids).size, 120);
    assert.equal(ids.length, 120);
    assert.ok(calls > 1, `${calls} calls`);
  });
});

test("an export that is called off while it is read saves nothing", async () => {
  await signedIn(gate, "/keys", {}, async (page) => {
    /** @type {import("playwright-core").Route[]} */
    const held = [];
    await page.route(/\/api-keys\/export\?/, (route) => held.push(route));
    let downloads = 0;
    page.on("download", () => {
      downloads += 1;
    });
    await page.getByRole("button", { name: "Export" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Export" }).click();
    await waitFor("the first page", () => held.length === 1);
    await page.keyboard.press("Escape");
    const answered = page.waitForResponse(/\/export\?/);
    await held[0].continue();
    await (await answered).finished();
    await show(page, gate, "/audit");
    await heading(page, "Audit");
    assert.equal(downloads, 0);
  });
});

test("several keys get an expiry, which the dialog says before it is done", async () => {
  const made = [];
  for (const name of ["Ending 1", "Ending 2", "Ending 3"]) made.push((await owner.createKey({ name })).apiKey.id);
  await owner.revoke(made[0]);
  await signedIn(gate, "/keys?q=Ending", {}, async (page) => {
    await page.getByLabel("Select all shown").check();
    await page.getByRole("button", { name: "Set an expiry" }).click();
    const dialog = page.getByRole("dialog", { name: "Set an expiry: 3 keys" });
    await dialog.getByText(/^2 keys will change\. 1 key will not: /).waitFor();
    await dialog.getByRole("radio", { name: "30 days" }).check({ force: true });
    await dialog.getByRole("button", { name: "Set an expiry" }).click();
    await dialog.waitFor({ state: "detached" });
  });
  for (const id of made.slice(1)) {
    const days = (Date.parse((await owner.get(id)).expiresAt) - gate.now()) / DAY_MS;
    assert.ok(days > 29.5 && days < 30.5, `${days} days`);
  }
});

test("a viewer has views, filters and the export, and nothing to choose keys with", async () => {
  await owner.stepUp();
  const person = { email: "looks@example.com", password: "a viewer's long password" };
  await owner.must("POST", "/members", { ...person, role: "viewer" });
  await signedIn(gate, "/keys", { person }, async (page) => {
    await rowsOf(page).first().waitFor();
    await page.getByRole("button", { name: "Export" }).waitFor();
    await page.getByRole("button", { name: "Filter" }).click();
    await page.getByLabel("Created by").waitFor();
    assert.equal(await page.getByRole("checkbox").count(), 0);
    assert.equal(await page.getByRole("link", { name: "Create key" }).count(), 0);
  });
});

test("what is typed into a field of the filter as soon as it is there stays", async () => {
  await signedIn(gate, "/keys?tag=before", {}, async (page) => {
    await heading(page, "Keys");
    // In one task: no frame is drawn between the click and the typing.
    const typed = await page.evaluate(async () => {
      const button = [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Filter");
      button?.click();
      /** @type {HTMLInputElement | null} */
      let field = null;
      for (let turn = 0; turn < 50 && field === null; turn += 1) {
        await Promise.resolve();
        field = document.querySelector(".choices input[name=tag]");
      }
      if (field === null) throw new Error("the field is not there without a frame");
      field.value = "typed at once";
      field.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0))));
      return field.value;
    });
    assert.equal(typed, "typed at once");
  });
});

test("names and tags are text in rows and chips, and a key in any filter gets nowhere", async () => {
  const { apiKey, plaintextKey } = await owner.createKey({ name: "Pasted anywhere" });
  await signedIn(gate, `/keys?tag=${encodeURIComponent(HOSTILE.slice(0, 50))}`, {}, async (page) => {
    await rowsOf(page).getByRole("link", { name: HOSTILE }).waitFor();
    assert.equal(await page.locator("main img").count(), 0);
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.getByRole("button", { name: "Filter" }).click();
    await page.getByLabel("Tag").fill(plaintextKey);
    await page.getByLabel("Tag").press("Enter");
    await page.getByText("That was a whole key.").waitFor();
    await show(page, gate, "/audit");
    await heading(page, "Audit");
    await show(page, gate, `/keys?tag=${plaintextKey}`);
    await waitFor("the key", async () => (await names(page)).join() === "Pasted anywhere");
    assert.ok(page.url().endsWith(`#/keys?q=${apiKey.last4}`), page.url());
    assert.deepEqual(
      asked.filter((url) => url.includes(plaintextKey.slice(0, -8))),
      [],
    );
  });
});
