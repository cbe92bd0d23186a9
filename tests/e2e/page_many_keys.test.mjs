// All keys that the filters of the admin page's list find, changed at once. In Chromium, against the built Worker.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { waitFor } from "./harness/wait.mjs";
import { show, signedIn, status } from "./page.mjs";

/** @import { Page, Route } from "playwright-core" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const IMPORTED = '\n[realm.imported]\nprefixes = ["old_"]\nmin_length = 24\n';

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

before(async () => {
  gate = await startGate({ document: await documentOf("default", { edit: (text) => text + IMPORTED }) });
  owner = await gate.owner();
});

// Each has a minute's calls of the API.
beforeEach(() => gate.advance(60_000));

after(() => gate?.stop());

/**
 * Makes this many keys with this tag, by importing them: that is quick.
 * @param {string} tag
 * @param {number} count
 */
async function make(tag, count) {
  const line = (/** @type {number} */ i) =>
    JSON.stringify({
      hash: createHash("sha256").update(`old_${tag}_0123456789abcdefghij_${i}`).digest("hex"),
      name: `${tag} ${i}`,
      scopes: ["orders:read"],
      tags: [tag],
    });
  for (let first = 0; first < count; first += 500) {
    const lines = Array.from({ length: Math.min(500, count - first) }, (_, i) => line(first + i)).join("\n");
    await owner.must("POST", "/api-keys/import", lines, { "Content-Type": "application/x-ndjson" });
  }
}

const total = async (/** @type {string} */ query) => (await owner.must("GET", `/api-keys?${query}`)).total;

/**
 * Selects all keys that are found, beyond those that are shown, and begins with what this button says.
 * @param {Page} page
 * @param {number} count
 * @param {string} button
 */
async function begin(page, count, button) {
  const keys = `${count.toLocaleString("en")} keys`;
  await page
    .getByRole("status")
    .filter({ hasText: `of ${keys}` })
    .waitFor();
  await page.getByLabel("Select all shown").check();
  await page.getByRole("button", { name: `Select all ${keys} that this finds` }).click();
  await page.getByLabel(`All ${keys} selected`).waitFor();
  await page.getByRole("button", { name: button, exact: true }).click();
  return page.getByRole("dialog");
}

/**
 * Holds calls that change keys, until each is let go, once `isHeld`.
 * @param {Page} page
 */
async function hold(page) {
  const held = { isHeld: false, isDry: false, calls: /** @type {Route[]} */ ([]) };
  await page.route("**/api-keys/bulk", (route) => {
    if (!held.isHeld || route.request().postDataJSON().dryRun !== held.isDry) return route.continue();
    held.calls.push(route);
  });
  return held;
}

test("all keys that a filter finds are revoked with four clicks, and the page says before and after how many", async () => {
  await make("many", 130);
  const { apiKeys } = await owner.must("GET", "/api-keys?tag=many&limit=1");
  await owner.revoke(apiKeys[0].id);
  const other = await owner.createKey({ name: "many more", tags: ["other"] });
  await signedIn(gate, "/keys?tag=many", {}, async (page) => {
    const dialog = await begin(page, 130, "Revoke");
    await page.getByRole("dialog", { name: "Revoke: 129 keys" }).waitFor();
    await dialog.getByText("129 keys will change. 1 key will not: There is nothing to change.").waitFor();
    assert.equal(await total("tag=many&status=ACTIVE"), 129, "nothing is done before it is confirmed");
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByText("Revoked: 129 keys. 1 key not changed: There is nothing to change.").last().waitFor();
    await dialog.waitFor({ state: "detached" });
    await page.getByTestId("refused-by").getByText("Refused everywhere by").waitFor();
    await page.getByLabel("Select all shown").waitFor();
  });
  assert.equal(await total("tag=many&status=REVOKED"), 130);
  assert.equal((await owner.get(other.apiKey.id)).status, "ACTIVE");
});

test("of thousands the first are looked at, and all of them are changed", async () => {
  await make("crowd", 2_050);
  await signedIn(gate, "/keys?tag=crowd", {}, async (page) => {
    const dialog = await begin(page, 2050, "Pause");
    await dialog.getByText("Of the first 2,000 keys: 2,000 keys will change.").waitFor();
    await dialog.getByRole("button", { name: "Pause" }).click();
    await page.getByText("Paused: 2,050 keys.").last().waitFor();
    await dialog.waitFor({ state: "detached" });
    assert.equal(await total("tag=crowd&status=PAUSED"), 2_050);
  });
});

test("all that is found gets a tag, loses one, is paused, resumed, and gets an expiry", async () => {
  await make("ways", 120);
  const full = Array.from({ length: 19 }, (_, i) => `full ${i}`);
  await owner.createKey({ name: "No room", tags: ["ways", ...full] });
  await signedIn(gate, "/keys?tag=ways", { expectedErrors: [status(400)] }, async (page) => {
    let dialog = await begin(page, 121, "Add a tag");
    await dialog.getByLabel("Tag").fill("added");
    await dialog.getByText(/^120 keys will change\. 1 key will not: \S/).waitFor();
    await dialog.getByRole("button", { name: "Add a tag" }).click();
    await page
      .getByText(/^Tag added: 120 keys\. 1 key not changed: \S/)
      .last()
      .waitFor();
    await dialog.waitFor({ state: "detached" });
    assert.equal(await total("tag=added"), 120);

    for (const [button, done] of [
      ["Pause", "Paused: 121 keys."],
      ["Resume", "Resumed: 121 keys."],
    ]) {
      dialog = await begin(page, 121, button);
      await dialog.getByText("121 keys will change.").waitFor();
      await dialog.getByRole("button", { name: button }).click();
      await page.getByText(done).last().waitFor();
      await dialog.waitFor({ state: "detached" });
    }
    assert.equal(await total("tag=ways&status=ACTIVE"), 121);

    dialog = await begin(page, 121, "Set an expiry");
    await dialog.getByRole("button", { name: "Set an expiry" }).click();
    await page.getByText("Expiry set: 121 keys.").last().waitFor();
    await dialog.waitFor({ state: "detached" });
    const soon = new Date(gate.now() + 91 * 86_400_000).toISOString();
    assert.equal(await total(`tag=ways&expiresBefore=${soon}`), 121);

    dialog = await begin(page, 121, "Remove a tag");
    await dialog.getByRole("button", { name: "Remove a tag" }).click();
    await dialog.getByText(/between 1 and 50|1 to 50/).waitFor();
    await dialog.getByLabel("Tag").fill("added");
    await dialog.getByText("120 keys will change. 1 key will not: There is nothing to change.").waitFor();
    await dialog.getByRole("button", { name: "Remove a tag" }).click();
    await page.getByText("Tag removed: 120 keys. 1 key not changed: There is nothing to change.").last().waitFor();
    await dialog.waitFor({ state: "detached" });
    assert.equal(await total("tag=added"), 0);
  });
});

test("it can be stopped and gone on with; after a failure it says how many are done, and that going on is safe", async () => {
  await make("halves", 350);
  await signedIn(gate, "/keys?tag=halves", { expectedErrors: [/ERR_FAILED/, status(429)] }, async (page) => {
    const held = await hold(page);
    const dialog = await begin(page, 350, "Pause");
    await dialog.getByText("350 keys will change.").waitFor();
    // Harmless, and said.
    await make("halves", 351);
    held.isHeld = true;
    await dialog.getByRole("button", { name: "Pause" }).click();
    await waitFor("the first call", () => held.calls.length === 1);
    await held.calls[0].continue();
    await waitFor("the second call", () => held.calls.length === 2);
    await dialog.getByText("Paused: 100 keys of 351. The filter finds 351 now; it was 350.").waitFor();
    assert.equal(await dialog.getByRole("progressbar").getAttribute("value"), "100");
    await dialog.getByRole("button", { name: "Stop" }).click();
    await held.calls[1].continue();
    await dialog.getByText("Paused: 200 keys of 351.").waitFor();
    await dialog.getByRole("button", { name: "Close" }).waitFor();
    assert.equal(await total("tag=halves&status=PAUSED"), 200);

    // It is done, and its answer is lost.
    await dialog.getByRole("button", { name: "Go on" }).click();
    await waitFor("the third call", () => held.calls.length === 3);
    await held.calls[2].fetch();
    await held.calls[2].abort();
    await dialog.getByText("The server did not answer. Go on: nothing is done twice.").waitFor();
    await dialog.getByText("Paused: at least 200 keys of 351.").waitFor();
    assert.equal(await total("tag=halves&status=PAUSED"), 300);

    await dialog.getByRole("button", { name: "Go on" }).click();
    await waitFor("the fourth call", () => held.calls.length === 4);
    await held.calls[3].fulfill({ status: 429, headers: { "Retry-After": "1" }, json: { code: "RATE_LIMITED" } });
    await dialog.getByText("The API’s rate limit is reached. This goes on by itself.").waitFor();
    await waitFor("the fifth call", () => held.calls.length === 5);
    await held.calls[4].continue();
    await page.getByText("Paused: at least 251 keys.").last().waitFor();
    await dialog.waitFor({ state: "detached" });
  });
  assert.equal(await total("tag=halves&status=PAUSED"), 351);
});

test("a dialog that is closed stops what goes on in it, and the page says how far it came", async () => {
  await make("closed", 250);
  await signedIn(gate, "/keys?tag=closed", {}, async (page) => {
    const held = await hold(page);
    const dialog = await begin(page, 250, "Pause");
    held.isHeld = true;
    await dialog.getByRole("button", { name: "Pause" }).click();
    await waitFor("the first call", () => held.calls.length === 1);
    await page.keyboard.press("Escape");
    await held.calls[0].continue();
    await page.getByText("Paused: 100 keys of 250.").waitFor();
    assert.equal(held.calls.length, 1);
  });
  assert.equal(await total("tag=closed&status=PAUSED"), 100);
});

test("a question changes nothing: none is read again for it, and one that is lost says nothing of a change", async () => {
  await make("asked", 60);
  await signedIn(gate, "/keys?tag=asked", { expectedErrors: [/ERR_FAILED/] }, async (page) => {
    /** @type {string[]} */
    const read = [];
    const dialog = await begin(page, 60, "Pause");
    page.on("request", (request) => request.method() === "GET" && read.push(request.url()));
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await page.getByRole("dialog", { name: "Resume: 0 keys" }).getByRole("button", { name: "Cancel" }).click();
    assert.deepEqual(read, []);
    await page.route("**/api-keys/bulk", (route) => route.abort());
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await page.getByText("The server did not answer.", { exact: true }).waitFor();

    await page.route(/\/explain$|\/import\?/, (route) => route.abort());
    await show(page, gate, "/routes");
    await page.getByLabel("Path").fill("/api/orders");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("The server did not answer.", { exact: true }).waitFor();
    await show(page, gate, "/keys/import");
    await page.getByLabel("Or paste the lines").fill("{}");
    await page.getByRole("button", { name: "Check" }).click();
    await page.getByText("The server did not answer.", { exact: true }).waitFor();
  });
});

test("where nothing narrows the list, and on another list, not all keys are selected", async () => {
  await make("wide", 60);
  await make("wider", 60);
  await signedIn(gate, "/keys", {}, async (page) => {
    await page.getByLabel("Select all shown").check();
    await page.getByLabel("50 selected").waitFor();
    assert.equal(await page.getByRole("button", { name: /that this finds/ }).count(), 0);
    await show(page, gate, "/keys?tag=wide");
    const dialog = await begin(page, 60, "Pause");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await page.getByLabel("Select wide 59", { exact: true }).uncheck();
    await page.getByLabel("49 selected").waitFor();
    await page.getByLabel("49 selected").check();
    await page.getByRole("button", { name: /that this finds/ }).click();
    await page.getByLabel("Search").fill("wider");
    await page.getByText("No key matches.").waitFor();
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await page.getByLabel("Search").fill("wider");
    await page.getByRole("status").filter({ hasText: "of 60 keys" }).waitFor();
    await page.getByLabel("Select all shown").waitFor();
  });
});
