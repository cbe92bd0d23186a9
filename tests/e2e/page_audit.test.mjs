// The audit on the admin page, and the ways into a deployment: the first owner, recovery, and what plain http loses. In
// Chromium, against the built Worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, NOT_SIGNED_IN, show, signedIn, signIn, status } from "./page.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const RECOVERY = "Kk3vQ9mRw0q3VbT0xk7RzNw2";

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

before(async () => {
  gate = await startGate({ secrets: { KEYWARD_RECOVERY_TOKEN: RECOVERY } });
  owner = await gate.owner();
  await owner.stepUp();
});

after(() => gate?.stop());

test("an entry says who did what to which key, why, and what that changed", async () => {
  const { apiKey } = await owner.createKey({ name: "Billing", tags: ["old", "kept"] });
  await owner.patch(apiKey.id, { tags: ["kept", "new"], rateLimit: { perMinute: 7, perDay: null } });
  await owner.revoke(apiKey.id, "leaked");
  await signedIn(gate, `/audit?object=${apiKey.id}`, {}, async (page) => {
    const rows = page.getByTestId("audit-row");
    await waitFor("three entries", async () => (await rows.count()) === 3);
    await rows.nth(0).getByText(`${OWNER.email} revoked key Billing …${apiKey.last4}: “leaked”`).waitFor();
    await rows.nth(1).getByText("rate limit per minute, tags").click();
    const lines = await rows.nth(1).locator("li").allInnerTexts();
    assert.deepEqual(
      lines.map((line) => line.trim()),
      ["rate limit per minute: none → 7", 'tags: − "old" + "new"'],
    );
    await rows.nth(0).getByRole("link", { name: "Billing" }).click();
    await heading(page, "Billing");
  });
});

test("entries are found by who, what, on what and when, in the address, and come back with it", async () => {
  const person = { email: "finder@example.com", password: "a finder's long password" };
  await owner.must("POST", "/members", { ...person, role: "admin" });
  const admin = await gate.admin().signIn(person);
  const { apiKey } = await admin.createKey({ name: "By another" });
  await signedIn(gate, "/audit", {}, async (page) => {
    const rows = page.getByTestId("audit-row");
    await page.getByLabel("What", { exact: true }).selectOption("key.create");
    await page.getByLabel("By: address or id").fill(person.email);
    await page.keyboard.press("Enter");
    await waitFor("one entry", async () => (await rows.count()) === 1);
    await rows.getByText(`${person.email} created key By another`).waitFor();
    assert.match(page.url(), /#\/audit\?action=key\.create&actor=finder%40example\.com$/);
    await page.reload();
    await heading(page, "Audit");
    assert.equal(await rows.count(), 1);
    await page.getByLabel("To this day").fill("2020-01-01");
    await page.getByText("No entry matches.").waitFor();
    await page.getByRole("button", { name: "Clear" }).click();
    await waitFor("all entries", async () => (await rows.count()) > 2);
    await show(page, gate, `/audit?object=${apiKey.id}&from=2020-01-01`);
    await waitFor("one entry", async () => (await rows.count()) === 1);
  });
});

test("sign-ins in a row are folded, and an action that the page does not know is shown as it is", async () => {
  const person = { email: "often@example.com", password: "often and often again" };
  await owner.must("POST", "/members", { ...person, role: "viewer" });
  for (let i = 0; i < 4; i += 1) await gate.admin().signIn(person);
  await signedIn(gate, `/audit?actor=${encodeURIComponent(person.email)}`, {}, async (page) => {
    const fold = page.getByText(`4 sign-ins by ${person.email}`);
    await fold.waitFor();
    const rows = page.getByTestId("audit-row");
    assert.equal(await rows.first().isVisible(), false);
    await fold.click();
    await rows.nth(3).getByText("signed in").waitFor();
    await page.route("**/api/admin/audit?*", async (route) => {
      const answer = await route.fetch();
      const page = await answer.json();
      for (const entry of page.entries) entry.action = "robot.dance";
      await route.fulfill({ response: answer, json: page });
    });
    await page.reload();
    await page.getByTestId("audit-row").first().getByText("robot.dance").waitFor();
  });
});

test("what is listed is exported, and the chain is counted while it is verified", async () => {
  for (let i = 0; i < 5; i += 1) await owner.createKey({ name: `Exported ${i}` });
  await signedIn(gate, "/audit?action=key.create", {}, async (page) => {
    await heading(page, "Audit");
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export" }).click();
    const file = await (await saved).path();
    const lines = readFileSync(file, "utf8").trim().split("\n");
    assert.ok(lines.length >= 5);
    assert.ok(lines.every((line) => JSON.parse(line).action === "key.create"));

    // In parts, as a long chain is.
    let parts = 0;
    await page.route("**/api/admin/audit/verify*", async (route) => {
      parts += 1;
      if (parts === 2) await page.getByText("Checked 1,000 of 2,500 entries").waitFor();
      const from = Number(new URL(route.request().url()).searchParams.get("from") ?? 1);
      const json = { ok: true, entries: from + 999, total: 2_500, lastHash: "x" };
      if (from < 2_000) await route.fulfill({ json: { ...json, next: from + 1_000 } });
      else await route.continue({ url: route.request().url().replace(/\?.*/, "") });
    });
    await page.getByRole("button", { name: "Verify the chain" }).click();
    await page.getByText(/^The chain is whole: \d+ entries/).waitFor();
    assert.equal(parts, 3);
  });
});

test("where nobody is, set-up opens by itself, and the first key is two screens away", async () => {
  const fresh = await startGate();
  try {
    await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page) => {
      await page.goto(`${fresh.url}/admin/`);
      await heading(page, "Set up Keyward");
      await page.getByLabel("Set-up token").fill(fresh.secrets.KEYWARD_SETUP_TOKEN);
      await page.getByLabel("E-mail address").fill(OWNER.email);
      await page.getByLabel("Password").fill(OWNER.password);
      await page.getByRole("button", { name: "Create the owner" }).click();
      await page.getByRole("link", { name: "Create the first key" }).click();
      await heading(page, "Create a key");
      await page.getByRole("button", { name: "Sign out" }).click();
      await heading(page, "Sign in");
      assert.deepEqual(await fresh.admin().must("GET", "/setup"), { open: false });
    });
  } finally {
    await fresh.stop();
  }
});

test("a recovery token that is typed lets a new owner in, and stands in no address", async () => {
  await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page) => {
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await show(page, gate, "/sign-in");
    await page.getByRole("link", { name: "Recover the deployment" }).click();
    await heading(page, "Recover the deployment");
    const fill = async (token) => {
      await page.getByLabel("Recovery token").fill(token);
      await page.getByLabel("E-mail address").fill("rescued@example.com");
      await page.getByLabel("Password").fill("a rescued owner's password");
      await page.getByRole("button", { name: "Set the password" }).click();
    };
    await fill("a wrong token of some length");
    await page.getByText("This is not the recovery token of this deployment.").waitFor();
    await fill(RECOVERY);
    await heading(page, "Overview");
    assert.ok(asked.every((url) => !url.includes(RECOVERY)));
    await page.getByRole("link", { name: "Audit" }).click();
    await page.getByText("the recovery token recovered the account of").waitFor();
  });
});

test("the operator invites an owner to a tenant, sets quotas, and ends sessions; a link that is open can be ended", async () => {
  await owner.must("POST", "/tenants", { name: "Northwind" });
  const unseen = { email: "unseen@example.com", password: "a password for later", role: "viewer" };
  await owner.must("POST", "/members", unseen);
  await signedIn(gate, "/tenants", { expectedErrors: [status(400)] }, async (page) => {
    const row = page.getByTestId("tenant-row").filter({ hasText: "Northwind" });
    await row.getByRole("button", { name: "Quotas" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Keys", { exact: true }).fill("0x10");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByText(/whole number/).waitFor();
    await dialog.getByLabel("Keys", { exact: true }).fill("12");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByText("Northwind is changed.").waitFor();
    const { tenants } = await owner.must("GET", "/tenants");
    const { quotas } = tenants.find(({ name }) => name === "Northwind");
    assert.deepEqual(quotas, { keys: 12 });
    await row.getByRole("button", { name: "Invite owner" }).click();
    await dialog.getByLabel("E-mail address").fill("first@northwind.example");
    await dialog.getByRole("button", { name: "Make the link" }).click();
    assert.match(await page.getByTestId("new-link").innerText(), /#invitation=/);
    await page.getByRole("button", { name: "I have saved it" }).click();
    await row.getByRole("button", { name: "End sessions" }).click();
    await dialog.getByRole("button", { name: "End sessions" }).click();
    await page.getByText("All its sessions are ended.").waitFor();

    await owner.must("POST", "/invitations", { email: "soon@example.com", role: "viewer" });
    await page.getByRole("link", { name: "People" }).click();
    const open = page.getByTestId("invitation-row").filter({ hasText: "soon@example.com" });
    await open.getByText("Joins as viewer").waitFor();
    await open.getByRole("button", { name: "End" }).click();
    await open.waitFor({ state: "detached" });
    await page.getByTestId("member-row").filter({ hasText: unseen.email }).getByText("never seen").waitFor();
  });
});

test("over plain http from another machine the page says that the sign-in will not be kept, before and after", async () => {
  await withPage({ expectedErrors: [NOT_SIGNED_IN, /Cross-Origin-Opener-Policy/] }, async (page) => {
    await page.route("http://plain.example/**", async (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === "/api/admin/session" && route.request().method() === "POST")
        return route.fulfill({ status: 201, json: { token: "x", expiresAt: "2030-01-01T00:00:00Z", member: {} } });
      return route.fulfill({ response: await route.fetch({ url: `${gate.url}${pathname}`, headers: {} }) });
    });
    await page.goto("http://plain.example/admin/");
    await heading(page, "Sign in");
    await page.getByText("Browsers keep the sign-in over https only").waitFor();
    const link = page.getByRole("link", { name: "open it over https" });
    assert.equal(await link.getAttribute("href"), "https://plain.example/admin/");
    await signIn(page);
    await page.getByText("Your browser did not keep the sign-in.").waitFor();
    assert.equal(await page.getByText("is wrong").count(), 0);
  });
});
