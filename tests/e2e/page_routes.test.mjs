// The screen of routes, and what happened to a request that somebody names by its id. In Chromium, against the built Worker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, signedIn, useKey } from "./page.mjs";

/** @import { CreatedKey, RouteUsage } from "../../types/admin-api.js" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {CreatedKey} Its requests: three accepted, one refused. */
let used;
/** Ids of requests: of a key without the scope, with a key that nobody has, and accepted. */
let [refused, guessed, accepted] = ["", "", ""];

const OPTIONAL = `
[[realm.route]]
path = "/api/catalog"
requires = { optional = true }
limit_by_network = { binding = "ANYBODY" }
`;

before(async () => {
  gate = await startGate({ edit: (text) => text + OPTIONAL, limiters: { ANYBODY: { limit: 100, period: 60 } } });
  owner = await gate.owner();
  await owner.stepUp();
  used = await owner.createKey({ name: "Reader", scopes: ["orders:read"] });
  const headers = { Authorization: `Bearer ${used.plaintextKey}` };
  for (let i = 0; i < 3; i += 1) accepted = (await useKey(gate, used.plaintextKey)).header("x-request-id");
  refused = (await gate.send({ method: "POST", target: "/api/orders", headers })).header("x-request-id");
  guessed = (await useKey(gate, "kw_live_8wJq2rT5mZx1cV7bN4pLkH9dSf3gYa6eUo0i")).header("x-request-id");
  await waitFor(
    "all of it to be told",
    async () => {
      await gate.advance(60_000); // reports gather for some minutes
      const { refusals } = await owner.must("GET", `/refusals?requestId=${refused}`);
      const other = await owner.must("GET", `/refusals?scope=deployment&requestId=${guessed}`);
      const { routes } = await owner.must("GET", "/usage/routes?days=2");
      const accepted = routes.reduce(
        (/** @type {number} */ all, /** @type {RouteUsage} */ one) => all + one.accepted,
        0,
      );
      return refusals.length + other.refusals.length === 2 && accepted === 3;
    },
    { everyMs: 500 },
  );
  await owner.stepUp();
});

after(() => gate?.stop());

test("each route has its requests, sorted and found; open it says who can call it, with the list of exactly these keys", async () => {
  await owner.createKey({ name: "Writer", scopes: ["orders:write"] });
  const gone = await owner.createKey({ name: "Gone", scopes: ["*"] });
  await owner.revoke(gone.apiKey.id);
  await signedIn(gate, "/routes", {}, async (page) => {
    await heading(page, "Routes");
    const rows = page.getByTestId("route-row");
    const read = rows.filter({ hasText: "orders:read" });
    await read.getByText("3", { exact: true }).waitFor();
    const write = rows.filter({ hasText: "orders:write" });
    await write.getByText("1 refused").waitFor();
    await page.getByRole("button", { name: "Requests" }).click();
    assert.match(await rows.first().innerText(), /orders:read/);
    // Of all tenants with what belongs to no key.
    await page.getByRole("link", { name: "All tenants" }).click();
    await read.getByText("1 refused").waitFor();
    await page.getByRole("link", { name: "This tenant" }).click();
    await read.getByText("1 refused").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "30 days" }).click();
    await read.getByText("3", { exact: true }).waitFor();

    const more = page.getByTestId("route-row-below");
    await page.getByRole("searchbox", { name: "Search" }).fill("public");
    await waitFor("one row", async () => (await rows.count()) === 1);
    await rows.getByRole("button").click();
    await more.getByText("Anybody.").waitFor();
    await page.getByRole("searchbox", { name: "Search" }).fill("catalog");
    await waitFor("that row", async () => (await rows.count()) === 1 && (await more.count()) === 0);
    await rows.getByText("key, or nothing").waitFor();
    await rows.getByRole("button").click();
    await more.getByText("Anybody who shows nothing, with a limit for each network.").waitFor();
    await page.getByRole("searchbox", { name: "Search" }).fill("ORDERS:READ");
    await waitFor("the other row", async () => (await rows.count()) === 1 && (await more.count()) === 0);
    await rows.getByRole("button").focus();
    await page.keyboard.press("Enter");
    await more.getByText("GET 3 accepted, 0 refused").waitFor();
    await more.getByRole("link", { name: "2 active keys" }).click();
    await heading(page, "Keys");
    await waitFor("the list", async () => (await page.getByTestId("key-row").count()) === 2);
    await page.getByTestId("key-row").filter({ hasText: "Writer" }).waitFor();
  });
});

test("a request id says why the request was refused, of a key's and of nobody's, and that an accepted one has no entry", async () => {
  await signedIn(gate, "/routes", {}, async (page) => {
    await heading(page, "Routes");
    const answer = page.getByTestId("request");
    const lookUp = async (/** @type {string} */ id) => {
      await page.getByLabel("Request id").fill(id);
      await page.getByRole("button", { name: "Look up" }).click();
    };
    await lookUp(refused.toUpperCase());
    await answer.getByText("403 INSUFFICIENT_SCOPE").waitFor();
    await answer.getByText("POST /api/orders*").waitFor();
    assert.match(page.url(), new RegExp(`request=${refused}`));
    await answer.getByRole("link", { name: used.apiKey.id }).click();
    await heading(page, "Reader");
    await page.goBack();
    await answer.getByText("INSUFFICIENT_SCOPE").waitFor();
    await lookUp(guessed);
    await answer.getByText("401 INVALID_API_KEY").waitFor();
    await lookUp(accepted);
    await answer.getByText("Accepted requests leave no entry").waitFor();
  });
});

test("what is no request id is not sent, nor put into the address: it may be a key", async () => {
  await signedIn(gate, "/routes", {}, async (page) => {
    await heading(page, "Routes");
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.getByLabel("Request id").fill(used.plaintextKey);
    await page.getByRole("button", { name: "Look up" }).click();
    await page.getByText("Must be 32 digits and letters a to f.").waitFor();
    assert.deepEqual(asked, []);
    assert.doesNotMatch(page.url(), /request/);
  });
});

test("Ctrl-K finds a refused request by its id, and says of another that it has no entry", async () => {
  await signedIn(gate, "/overview", {}, async (page) => {
    await page.keyboard.press("Control+k");
    const field = page.getByRole("combobox", { name: "Find" });
    await field.fill(accepted);
    await page.getByText("Accepted requests leave no entry").waitFor();
    await field.fill(` ${refused} `);
    await page.getByRole("option", { name: `Refused request ${refused}: INSUFFICIENT_SCOPE` }).waitFor();
    await page.keyboard.press("Enter");
    await heading(page, "Routes");
    await page.getByTestId("request").getByText("403 INSUFFICIENT_SCOPE").waitFor();
    // The same screen, with another request.
    await page.keyboard.press("Control+k");
    await field.fill(guessed);
    await page.getByRole("option", { name: "INVALID_API_KEY" }).click();
    await page.getByTestId("request").getByText("401 INVALID_API_KEY").waitFor();
    assert.equal(await page.getByLabel("Request id").inputValue(), guessed);
  });
});
