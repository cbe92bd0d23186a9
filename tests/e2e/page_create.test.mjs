// Creating a key on the admin page: what it may call, when it ends, where from, and the way to its first request. In
// Chromium, against the built Worker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { limits } from "./harness/limits.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, show, signedIn, useKey } from "./page.mjs";

/** @import { Page } from "playwright-core" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const DAY_MS = 86_400_000;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

before(async () => {
  gate = await startGate();
  owner = await gate.owner();
});

after(() => gate?.stop());

const newest = async () => (await owner.must("GET", "/api-keys?limit=1")).apiKeys[0];

/**
 * A part of what the key may call.
 * @param {Page} page
 * @param {"May call" | "May not call"} which
 */
const reach = (page, which) => page.getByRole("region", { name: which, exact: true }).getByRole("listitem");

test("from the list of keys to a curl line are at most five clicks, and the page says when it has worked", async () => {
  await signedIn(gate, "/keys", {}, async (page, context) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: gate.url });
    let clicks = 0;
    const click = async (/** @type {string} */ role, /** @type {string} */ name) => {
      clicks += 1;
      await page
        .getByRole(/** @type {"button"} */ (role), { name })
        .first()
        .click();
    };
    await click("link", "Create key");
    await heading(page, "Create a key");
    await page.keyboard.type("Five clicks");
    await click("button", "Read only");
    await click("button", "Create key");
    await click("button", "Copy curl line");
    assert.ok(clicks <= 5, `${clicks} clicks`);
    const line = await page.evaluate(() => navigator.clipboard.readText());
    const key = await page.getByTestId("new-key").innerText();
    const [, header, url] = /^curl -i -H "([^"]+)" '([^']+)'$/.exec(line) ?? [];
    assert.equal(header, `Authorization: Bearer ${key}`);
    assert.equal(url, `${gate.url}/api/orders`);
    assert.equal(await page.getByTestId("new-env-line").innerText(), `API_KEY=${key}`);
    const watch = page.getByTestId("first-use");
    await watch.getByText("Waiting for its first request").waitFor();

    const refused = await gate.send({
      target: "/api/orders",
      method: "POST",
      headers: { Authorization: `Bearer ${key}` },
    });
    assert.equal(refused.status, 403);
    await watch.getByText("A request was refused: INSUFFICIENT_SCOPE.").waitFor();
    assert.equal((await useKey(gate, key)).status, 200);
    // Its object reports two seconds after the first use, then every five minutes.
    await gate.advance(6 * 60_000);
    await waitFor("the first request to be told", async () => {
      await useKey(gate, key);
      return (await watch.getByText("It works").count()) === 1;
    });
    await page.getByRole("button", { name: "I have saved it" }).click();
    await heading(page, "Five clicks");
    assert.ok(!(await page.content()).includes(key.slice(-12)));
  });
});

test("what the scopes let it call follows each choice, and what it should call chooses its scopes", async () => {
  await signedIn(gate, "/keys/new", {}, async (page) => {
    const may = reach(page, "May call");
    const mayNot = reach(page, "May not call");
    await mayNot.filter({ hasText: "GET HEAD /api/orders*" }).waitFor();
    await may.filter({ hasText: "/api/public/*" }).waitFor();
    await page.getByRole("button", { name: "Allow GET HEAD /api/orders*" }).click();
    await may.filter({ hasText: "GET HEAD /api/orders*" }).waitFor();
    assert.ok(await page.getByRole("checkbox", { name: "orders:read" }).isChecked());
    await page.getByRole("button", { name: "Allow POST PUT PATCH DELETE /api/orders*" }).click();
    await may.filter({ hasText: "POST PUT PATCH DELETE /api/orders*" }).waitFor();
    assert.equal(await mayNot.count(), 0);
    await page.getByText("More settings").click();
    await page.getByLabel("Test key").check();
    await mayNot.filter({ hasText: "POST PUT PATCH DELETE /api/orders*" }).waitFor();
    await page.getByLabel("Test key").uncheck();
    await page.getByLabel("Publishable").check();
    await mayNot.filter({ hasText: "POST PUT PATCH DELETE /api/orders*" }).waitFor();
    assert.equal(await page.getByRole("button", { name: /^Allow/ }).count(), 0, "no scope would open that");
  });
});

test("a preset is what it says, and no more than the form says", async () => {
  for (const [preset, scopes] of /** @type {[string, string[]][]} */ ([
    ["Read only", ["orders:read"]],
    ["Read and write", ["orders:write"]],
    ["Everything", ["*"]],
  ])) {
    await signedIn(gate, "/keys/new", {}, async (page) => {
      await page.getByLabel("Name").fill(preset);
      const button = page.getByRole("button", { name: new RegExp(`^${preset}`) });
      await button.click();
      assert.equal(await button.getAttribute("aria-pressed"), "true");
      await page.getByRole("button", { name: "Create key" }).click();
      await page.getByTestId("new-key").waitFor();
      assert.deepEqual((await newest()).scopes, scopes);
    });
  }
});

test("a new key ends after 90 days unless something else is chosen, and the form says when", async () => {
  for (const [choice, days] of /** @type {[string | null, number | null][]} */ ([
    [null, 90],
    ["30 days", 30],
    ["A year", 365],
    ["Never", null],
  ])) {
    await signedIn(gate, "/keys/new", {}, async (page) => {
      await page.getByLabel("Name").fill(`Ends after ${days}`);
      await page.getByRole("button", { name: "Read only" }).click();
      if (choice) await page.getByRole("radio", { name: choice }).check({ force: true });
      await page.getByText(days === null ? "Works until somebody revokes it." : /^Refused from .* on\.$/).waitFor();
      await page.getByRole("button", { name: "Create key" }).click();
      await page.getByTestId("new-key").waitFor();
      const { expiresAt } = await newest();
      if (days === null) return assert.equal(expiresAt, null);
      const off = Math.abs(Date.parse(expiresAt) - gate.now() - days * DAY_MS);
      assert.ok(off < DAY_MS / 2, `${choice}: ${expiresAt}`);
    });
  }
});

test("addresses are typed one by one, pasted as lines, or one's own; none that was typed is lost", async () => {
  const extraHTTPHeaders = { "CF-Connecting-IP": "203.0.113.77" };
  await signedIn(gate, "/keys/new", { extraHTTPHeaders }, async (page) => {
    await page.getByLabel("Name").fill("From some places");
    await page.getByRole("button", { name: "Read only" }).click();
    await page.getByRole("button", { name: "My address, 203.0.113.77" }).click();
    const field = page.getByLabel("Allowed addresses");
    await field.pressSequentially("198.51.100.1 198.51.100.2,");
    await field.pressSequentially("2001:db8::/32");
    await field.press("Enter");
    await field.evaluate((input) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text", "192.0.2.1\n192.0.2.2\n");
      input.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    });
    await page.getByRole("button", { name: "Remove 198.51.100.1" }).click();
    await field.pressSequentially("10.0.0.0/8");
    await page.getByRole("button", { name: "Create key" }).click();
    await page.getByTestId("new-key").waitFor();
    assert.deepEqual((await newest()).allowedIps, [
      "203.0.113.77/32",
      "198.51.100.2/32",
      "2001:db8::/32",
      "192.0.2.1/32",
      "192.0.2.2/32",
      "10.0.0.0/8",
    ]);
  });
});

test("an error in what is folded unfolds it", async () => {
  await signedIn(gate, "/keys/new", { expectedErrors: [/status of 400/] }, async (page) => {
    await page.getByLabel("Name").fill("Folded");
    await page.getByRole("button", { name: "Read only" }).click();
    await page.getByText("More settings").click();
    await page.getByLabel("Requests a minute").fill("0x10");
    await page.getByText("More settings").click();
    assert.ok(await page.getByLabel("Requests a minute").isHidden());
    await page.getByRole("button", { name: "Create key" }).click();
    await page.getByText(/Must be a whole number/).waitFor();
  });
});

test("metadata is typed as lines, and an edit of it leaves the rest as it is", async () => {
  const { apiKey } = await owner.createKey({ name: "Of a team", metadata: { owner: "team-7", url: "a=b" } });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, {}, async (page) => {
    const field = page.getByLabel("Metadata");
    assert.equal(await field.inputValue(), "owner = team-7\nurl = a=b");
    await field.fill("owner = team-7\nno value");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("this is not: no value").waitFor();
    await field.fill("owner=team-8\nurl = a=b\n__proto__ = x");
    const sent = page.waitForRequest((request) => request.method() === "PATCH");
    await page.getByRole("button", { name: "Save" }).click();
    assert.equal((await sent).postData(), '{"metadata":{"owner":"team-8","url":"a=b","__proto__":"x"}}');
    await heading(page, "Of a team");
  });
  const { apiKey: odd } = await owner.createKey({ name: "Odd", metadata: { note: "two\nlines" } });
  await signedIn(gate, `/keys/${odd.id}/edit`, {}, async (page) => {
    await page.getByLabel("Name").fill("Odd still");
    assert.equal(await page.getByLabel("Metadata").count(), 0, "lines would say something else");
    await page.getByRole("button", { name: "Save" }).click();
    await heading(page, "Odd still");
    assert.deepEqual((await owner.get(odd.id)).metadata, { note: "two\nlines" });
  });
});

test("limits that are seldom set are folded until one is, sent as they are typed, and shown", async () => {
  const { apiKey } = await owner.createKey({ name: "Trial", rateLimit: { perMinute: 60 } });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, {}, async (page) => {
    const total = page.getByLabel("Requests in total");
    await page.getByLabel("Requests a minute").waitFor();
    assert.equal(await total.isVisible(), false);
    await page.getByText("More limits").click();
    await total.fill("1000");
    await page.getByLabel("Requests a second").fill("5");
    await page.getByRole("button", { name: "Save" }).click();
    await heading(page, "Trial");
    await page.getByText("5 a second, 60 a minute, 1,000 in total").waitFor();
    assert.deepEqual((await owner.get(apiKey.id)).rateLimit, limits({ perSecond: 5, perMinute: 60, total: 1_000 }));
    await show(page, gate, `/keys/${apiKey.id}/edit`);
    await total.waitFor();
    assert.equal(await total.inputValue(), "1000");
  });
});
