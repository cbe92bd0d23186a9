// Keys on the admin page: finding them, editing and rotating them, and what is shown only once. In Chromium, against the built
// Worker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, show, signedIn, status, useKey } from "./page.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

before(async () => {
  gate = await startGate();
  owner = await gate.owner();
});

after(() => gate?.stop());

test("the list finds a key by name, and by what it is", async () => {
  await owner.createKey({ name: "Findable one" });
  const revoked = await owner.createKey({ name: "Findable two" });
  await owner.revoke(revoked.apiKey.id);
  await signedIn(gate, "/keys", {}, async (page) => {
    const rows = page.getByTestId("key-row");
    await page.getByLabel("Search").fill("findable");
    await waitFor("two keys", async () => (await rows.count()) === 2);
    await page.getByRole("button", { name: "Filter" }).click();
    await page.getByLabel("Status").selectOption("REVOKED");
    await waitFor("the revoked one", async () => (await rows.count()) === 1);
    await rows.getByRole("link", { name: "Findable two" }).click();
    await heading(page, "Findable two");
    await page.goBack();
    await waitFor("the same list again", async () => (await rows.count()) === 1);
    assert.equal(await page.getByLabel("Search").inputValue(), "findable");
    await page.getByLabel("Search").fill("nothing has this name");
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await waitFor("every key", async () => (await rows.count()) >= 2);
  });
});

test("an edit sends what was changed, and nothing else", async () => {
  for (const rateLimit of [null, { perMinute: 60, perDay: null }, { perMinute: null, perDay: 1_000 }]) {
    const { apiKey } = await owner.createKey({ name: "To edit", tags: ["b", "a"], ...(rateLimit && { rateLimit }) });
    await signedIn(gate, `/keys/${apiKey.id}/edit`, {}, async (page) => {
      const save = page.getByRole("button", { name: "Save" });
      await save.click();
      await page.getByText("Nothing was changed.").waitFor();
      await show(page, gate, `/keys/${apiKey.id}/edit`);
      await page.getByLabel("Name").fill("Edited");
      const sent = page.waitForRequest((request) => request.method() === "PATCH");
      await save.click();
      assert.deepEqual((await sent).postDataJSON(), { name: "Edited" });
      await heading(page, "Edited");
    });
  }
});

test("an edit of what somebody else has changed meanwhile is not saved, and says so", async () => {
  const { apiKey } = await owner.createKey({ name: "Contested" });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, { expectedErrors: [status(412)] }, async (page) => {
    await page.getByLabel("Name").fill("Mine");
    await owner.patch(apiKey.id, { name: "Theirs", tags: ["theirs"] });
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Someone else changed this key").waitFor();
    await page.getByText("Name: changed to Theirs meanwhile").waitFor();
    assert.equal((await owner.get(apiKey.id)).name, "Theirs");
    assert.equal(await page.getByLabel("Name").inputValue(), "Mine", "what was typed is still there");
    assert.equal(await page.getByLabel("Tags").inputValue(), "theirs", "all else is as it is now");
    await page.getByLabel("Name").fill("Mine after all");
    await page.getByRole("button", { name: "Save" }).click();
    await heading(page, "Mine after all");
    await page.getByText(/In effect everywhere by \d\d:\d\d:\d\d/).waitFor();
    const saved = await owner.get(apiKey.id);
    assert.deepEqual([saved.name, saved.tags], ["Mine after all", ["theirs"]]);
  });
});

test("a rotation with a grace shows the new key, and until when the old one works", async () => {
  const { apiKey, plaintextKey } = await owner.createKey({ name: "To rotate" });
  await signedIn(gate, `/keys/${apiKey.id}/rotate`, {}, async (page) => {
    await page.getByLabel("works for some more time").check();
    await page.getByLabel("For how long").selectOption("For an hour");
    await page.getByText(/The old key is refused from .* on\./).waitFor();
    await page.getByRole("button", { name: "Rotate key" }).click();
    const key = await page.getByTestId("new-key").innerText();
    await page.getByText("The old key works until").waitFor();
    assert.equal(await page.getByTestId("new-env-line").innerText(), `API_KEY=${key}`);
    const line = await page.getByTestId("new-curl-line").innerText();
    assert.equal(line, `curl -i -H "Authorization: Bearer ${key}" '${gate.url}/api/orders'`);
    const watch = page.getByTestId("first-use");
    await watch.getByText("Waiting for its first request").waitFor();
    assert.equal((await useKey(gate, plaintextKey)).status, 200);
    assert.equal((await useKey(gate, key)).status, 200);
    await watch.getByText("It works: its first request was let through.").waitFor();
    const hours = (Date.parse((await owner.get(apiKey.id)).expiresAt) - gate.now()) / 3_600_000;
    assert.ok(hours > 0.9 && hours <= 1, `${hours} hours`);
    await page.getByRole("button", { name: "I have saved it" }).click();
    await page.getByRole("link", { name: apiKey.id }).click();
    await page.getByText("Replaced by").waitFor();
  });
});

test("a rotation with a grace until a time of one's own asks for that time, rather than guess", async () => {
  const { apiKey } = await owner.createKey({ name: "Guess" });
  await signedIn(gate, `/keys/${apiKey.id}/rotate`, {}, async (page) => {
    await page.getByLabel("works for some more time").check();
    await page.getByLabel("For how long").selectOption("Until a time of my choice");
    const when = page.getByLabel("Time from which it is refused");
    for (const time of ["", "2020-01-01T00:00:00"]) {
      await when.fill(time);
      await page.getByRole("button", { name: "Rotate key" }).click();
      await page.getByText("Must be a time in the future").waitFor();
    }
    assert.deepEqual(await owner.get(apiKey.id), apiKey);
    const inAWeek = new Date(gate.now() + 7 * 86_400_000);
    const local = await page.evaluate((time) => {
      const date = new Date(time);
      return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    }, inAWeek.getTime());
    await when.fill(local);
    await page.getByRole("button", { name: "Rotate key" }).click();
    await page.getByText("The old key works until").waitFor();
    const late = Math.abs(Date.parse((await owner.get(apiKey.id)).expiresAt) - inAWeek.getTime());
    assert.ok(late < 60_000, `${late} ms`);
  });
});

for (const { what, path, submit } of [
  { what: "created", path: () => "/keys/new", submit: "Create key" },
  { what: "rotated", path: (/** @type {string} */ id) => `/keys/${id}/rotate`, submit: "Rotate key" },
]) {
  test(`whoever leaves while a key is being ${what} is shown it, and a lost answer can be asked for again`, async () => {
    const { apiKey } = await owner.createKey({ name: `To be ${what}` });
    await signedIn(gate, path(apiKey.id), { expectedErrors: [/ERR_FAILED/] }, async (page) => {
      /** @type {import("playwright-core").Route[]} */
      const held = [];
      await page.route(/\/api\/admin\/api-keys/, async (route) => {
        if (route.request().method() !== "POST") return route.continue();
        held.push(route);
      });
      if (what === "created") {
        await page.getByLabel("Name").fill("Made meanwhile");
        await page.getByRole("checkbox", { name: "orders:read" }).check();
      }
      await page.getByRole("button", { name: submit }).click();
      await waitFor("the call", () => held.length === 1);
      // It arrives, and its answer is lost.
      await held[0].fetch();
      await page.getByRole("link", { name: "Audit" }).click();
      await page.getByText("It will be shown in a moment.").waitFor();
      await held[0].abort();
      await page.getByText("Try again: nothing is made twice").waitFor();
      await page.getByRole("button", { name: submit }).click();
      await waitFor("the second call", () => held.length === 2);
      await page.getByRole("link", { name: "Audit" }).click();
      await held[1].continue();
      await page.getByRole("dialog", { name: "Leave without saving the key?" }).waitFor();
      await page.getByRole("button", { name: "Stay" }).click();
      assert.equal((await useKey(gate, await page.getByTestId("new-key").innerText())).status, 200);
      const name = what === "created" ? "Made meanwhile" : apiKey.name;
      const { apiKeys } = await owner.must("GET", `/api-keys?q=${encodeURIComponent(name)}`);
      assert.equal(apiKeys.length, what === "created" ? 1 : 2, "made once");
    });
  });
}

test("both keys of a rotation can be told apart, and a revoked one says why", async () => {
  const { apiKey } = await owner.createKey({ name: "Twins" });
  await owner.rotate(apiKey.id);
  await owner.must("POST", `/api-keys/${apiKey.id}/revoke`, { reason: "In a public repository" });
  await signedIn(gate, "/keys?q=Twins", {}, async (page) => {
    const rows = page.getByTestId("key-row");
    await waitFor("both", async () => (await rows.count()) === 2);
    await rows.filter({ hasText: "replacement" }).filter({ hasText: "Active" }).waitFor();
    const old = rows.filter({ hasText: "Revoked" });
    await old.getByText("replaced", { exact: true }).waitFor();
    await old.getByRole("link", { name: "Twins" }).click();
    await page.getByText("In a public repository").waitFor();
  });
});

test("a limit is what was typed, or an error: no number is read in another way", async () => {
  const { apiKey } = await owner.createKey({ name: "Typed" });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, { expectedErrors: [status(400)] }, async (page) => {
    await page.getByText("More settings").click();
    for (const typed of ["0x10", "1e3", "1,000", "1.5", "+5", "abc"]) {
      await page.getByLabel("Requests a minute").fill(typed);
      const answered = page.waitForResponse((response) => response.request().method() === "PATCH");
      await page.getByRole("button", { name: "Save" }).click();
      assert.equal((await answered).status(), 400, typed);
      await page.locator(".wrong .error", { hasText: "whole number" }).first().waitFor();
    }
    assert.deepEqual((await owner.get(apiKey.id)).rateLimit, apiKey.rateLimit);
  });
});

test("a whole key that is pasted into the search, or into the address, is found by its end and gets nowhere", async () => {
  const { apiKey, plaintextKey } = await owner.createKey({ name: "Pasted" });
  await owner.createKey({ name: "Another" });
  await signedIn(gate, "/keys", {}, async (page) => {
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    const rows = page.getByTestId("key-row");
    for (const text of [plaintextKey, ` Authorization: Bearer ${plaintextKey}\t`, `API_KEY="${plaintextKey}"`]) {
      await page.getByLabel("Search").fill("");
      await waitFor("every key", async () => (await rows.count()) > 1);
      await page.getByLabel("Search").fill(text);
      await page.getByText("That was a whole key.").waitFor();
      await waitFor("the key", async () => (await rows.count()) === 1);
      await rows.getByRole("link", { name: "Pasted" }).waitFor();
      assert.equal(await page.getByLabel("Search").inputValue(), apiKey.last4);
    }
    await show(page, gate, "/audit");
    await heading(page, "Audit");
    await show(page, gate, `/keys?q=${plaintextKey}`);
    await waitFor("the key", async () => (await rows.count()) === 1);
    assert.ok(page.url().endsWith(`#/keys?q=${apiKey.last4}`), page.url());
    assert.deepEqual(
      asked.filter((url) => url.includes(plaintextKey.slice(0, -8))),
      [],
    );
  });
});

test("a key is paused, refused, and resumed; each says when it holds everywhere", async () => {
  const { apiKey, plaintextKey } = await owner.createKey({ name: "Paused for a while" });
  await signedIn(gate, `/keys/${apiKey.id}`, {}, async (page) => {
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Pause key" }).click();
    await page.getByTestId("refused-by").getByText("Refused everywhere by").waitFor();
    await page.getByText("Paused", { exact: true }).first().waitFor();
    await waitFor("the pause to hold", async () => (await useKey(gate, plaintextKey)).status === 401);
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Resume key" }).click();
    await page.getByTestId("effective-by").getByText("Resumed. In effect everywhere by").waitFor();
    await waitFor("the key to pass again", async () => (await useKey(gate, plaintextKey)).status === 200);
    await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
  });
});

test("twenty keys are revoked with five clicks, and the page says how many before", async () => {
  const keys = [];
  for (let i = 0; i < 20; i++) keys.push(await owner.createKey({ name: `Left over ${i}` }));
  await owner.revoke(keys[0].apiKey.id);
  await signedIn(gate, "/keys?q=left+over", {}, async (page) => {
    await waitFor("all of them", async () => (await page.getByTestId("key-row").count()) === 20);
    await page.getByLabel("Select all shown").check();
    await page.getByText("20 selected").waitFor();
    await page.getByRole("button", { name: "Revoke" }).click();
    const dialog = page.getByRole("dialog", { name: "Revoke: 19 keys" });
    await dialog.getByText("1 key will not: There is nothing to change.").waitFor();
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByTestId("refused-by").getByText("Refused everywhere by").waitFor();
    await waitFor("the list", async () => (await page.getByText("Revoked", { exact: true }).count()) >= 20);
  });
  for (const { apiKey } of keys) assert.equal((await owner.get(apiKey.id)).status, "REVOKED");
});

test("chosen keys get a tag, by which they are found", async () => {
  for (const name of ["Of a team, one", "Of a team, two", "Of nobody"]) await owner.createKey({ name });
  await signedIn(gate, "/keys", {}, async (page) => {
    for (const name of ["Of a team, one", "Of a team, two"]) await page.getByLabel(`Select ${name}`).check();
    await page.getByRole("button", { name: "Add a tag" }).click();
    await page.getByRole("dialog").getByLabel("Tag").fill("team-7");
    await page.getByRole("dialog").getByRole("button", { name: "Add a tag" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByLabel("Search").fill("team-7");
    await waitFor("the two", async () => (await page.getByTestId("key-row").count()) === 2);
  });
});

test("whoever asks why learns what the gate would answer to a request, step by step", async () => {
  const { apiKey } = await owner.createKey({ scopes: ["orders:read"] });
  await signedIn(gate, "/routes", {}, async (page) => {
    await page.getByTestId("route-row").filter({ hasText: "/api/orders*" }).first().waitFor();
    const explanation = page.getByTestId("explanation");
    await page.getByLabel("Path").fill("/api/orders");
    await page.getByLabel("Key (optional)").fill(apiKey.id);
    await page.getByRole("button", { name: "Explain" }).click();
    await explanation.getByText("It would pass").waitFor();
    await page.getByLabel("Method").selectOption("POST");
    await page.getByRole("button", { name: "Explain" }).click();
    await explanation.getByText("It would be refused: 403 INSUFFICIENT_SCOPE").waitFor();
    await explanation.getByText("stops here").waitFor();
    assert.doesNotMatch(page.url(), new RegExp(apiKey.id));
  });
});
