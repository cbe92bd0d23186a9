// The admin page in Chromium, against the built Worker: what it must keep to itself, and from whom.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, NOT_SIGNED_IN, show, signedIn, signIn, status, useKey } from "./page.mjs";

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

test("the key's text is gone from the page once it was closed, left or reloaded", async () => {
  await signedIn(gate, "/keys/new", {}, async (page) => {
    const create = async (name) => {
      await page.getByLabel("Name").fill(name);
      await page.getByLabel("orders:read").check();
      await page.getByRole("button", { name: "Create key" }).click();
      return page.getByTestId("new-key").innerText();
    };
    const assertGone = async (key) => {
      const everything = await page.evaluate(() =>
        [
          document.documentElement.outerHTML,
          location.href,
          JSON.stringify(localStorage),
          JSON.stringify(sessionStorage),
          document.title,
        ].join("\n"),
      );
      assert.ok(!everything.includes(key.slice(-12)));
    };

    const closed = await create("Closed");
    await page.getByRole("button", { name: "I have saved it" }).click();
    await heading(page, "Closed");
    await assertGone(closed);
    await page.goBack();
    await heading(page, "Create a key");
    await assertGone(closed);

    const left = await create("Left");
    await page.getByRole("link", { name: "Audit" }).click();
    await page.getByRole("button", { name: "Stay" }).click();
    assert.equal(await page.getByTestId("new-key").innerText(), left, "who stays still sees the key");
    await page.getByRole("link", { name: "Audit" }).click();
    await page.getByRole("button", { name: "Leave" }).click();
    await heading(page, "Audit");
    await assertGone(left);

    await show(page, gate, "/keys/new");
    const reloaded = await create("Reloaded");
    page.once("dialog", (question) => question.accept());
    await page.reload();
    await heading(page, "Create a key");
    await assertGone(reloaded);
  });
});

test("what people typed is shown as text, never as HTML", async () => {
  const name = `<img src=x onerror="document.title='broken'"> & <b>bold</b>`;
  const { apiKey } = await owner.createKey({ name, tags: ["<i>tag</i>"] });
  await signedIn(gate, `/keys/${apiKey.id}`, {}, async (page) => {
    await heading(page, name);
    await page.getByText("<i>tag</i>").waitFor();
    await show(page, gate, "/keys");
    await page.getByRole("link", { name }).waitFor();
    await show(page, gate, "/audit");
    await heading(page, "Audit");
    assert.equal(await page.locator("main img, main b, main i").count(), 0);
  });
});

test("a session that has ended leads to sign-in, and back to where one was", async () => {
  const { apiKey } = await owner.createKey({ name: "Where one was" });
  await signedIn(gate, `/keys/${apiKey.id}`, {}, async (page, context) => {
    await heading(page, "Where one was");
    await context.clearCookies();
    await page.getByRole("link", { name: "Rotate" }).dispatchEvent("click");
    await page.getByText("Your session has ended").waitFor();
    await signIn(page);
    await heading(page, "Rotate Where one was");
  });
});

test("two calls that find the session ended lead to one sign-in, and back to where one was", async () => {
  const { apiKey } = await owner.createKey({ name: "Asked for twice" });
  await signedIn(gate, "/settings", {}, async (page, context) => {
    // What the page knew of the realms is gone with it, so that a key's view asks two things at once.
    await page.reload();
    await heading(page, "Settings");
    await context.clearCookies();
    const refused = ["/realms", `/api-keys/${apiKey.id}`].map((path) =>
      page.waitForResponse((response) => response.url().endsWith(path) && response.status() === 401),
    );
    await show(page, gate, `/keys/${apiKey.id}`);
    await Promise.all(refused);
    await page.getByText("Your session has ended").waitFor();
    await signIn(page);
    await heading(page, "Asked for twice");
  });
});

test("a button that is clicked twice loads the next page of the audit once", async () => {
  for (let i = 0; i < 50; i += 1) await owner.createKey({ name: `Entry ${i}` });
  await signedIn(gate, "/audit", {}, async (page) => {
    const rows = page.getByTestId("audit-row");
    await rows.nth(49).waitFor();
    let asked = 0;
    page.on("request", (request) => {
      asked += /\/audit\?.*cursor=/.test(request.url()) ? 1 : 0;
    });
    await page.getByRole("button", { name: "Load more" }).dblclick();
    await rows.nth(50).waitFor();
    assert.equal(asked, 1);
  });
});

test("wrong passwords are refused in words, and too many with the time to wait", async () => {
  const fresh = await startGate();
  try {
    await fresh.owner();
    await withPage({ expectedErrors: [NOT_SIGNED_IN, status(429)] }, async (page) => {
      await page.goto(`${fresh.url}/admin/`);
      await heading(page, "Sign in");
      await signIn(page, { ...OWNER, password: "not the password" });
      await page.getByText("The e-mail address or the password is wrong.").waitFor();
      await waitFor("the limit", async () => {
        const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
        await signIn(page, { ...OWNER, password: "not the password" });
        return (await answered).status() === 429;
      });
      await page.getByText(/Try again in \d+ (second|minute)/).waitFor();
    });
  } finally {
    await fresh.stop();
  }
});

test("a viewer sees keys, and nothing that would change one", async () => {
  const viewer = { email: "viewer@example.com", password: "a viewer's long password" };
  await owner.must("POST", "/members", { ...viewer, role: "viewer" });
  const { apiKey } = await owner.createKey({ name: "Look, don't touch" });
  await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page) => {
    await show(page, gate, `/keys/${apiKey.id}`);
    await signIn(page, viewer);
    await heading(page, apiKey.name);
    for (const action of ["Edit", "Rotate", "Revoke"]) {
      assert.equal(
        await page
          .getByRole("link", { name: action })
          .or(page.getByRole("button", { name: action }))
          .count(),
        0,
        action,
      );
    }
    await show(page, gate, "/keys");
    await page.getByTestId("key-row").first().waitFor();
    assert.equal(await page.getByRole("link", { name: "Create key" }).count(), 0);
    assert.equal(await page.getByRole("link", { name: "People" }).count(), 0);
  });
});

// `localhost` is another site than 127.0.0.1; another port of 127.0.0.1 is the same site, and gets the
// cookie, but another origin.
for (const [host, relation, refusal] of /** @type {[string, string, number[]][]} */ ([
  ["localhost", "site", [401, 403]],
  ["127.0.0.1", "origin of the same site", [403]],
])) {
  test(`a page of another ${relation} cannot act`, async () => {
    const { apiKey, plaintextKey } = await owner.createKey({ name: "Not theirs" });
    const action = `${gate.url}/api/admin/api-keys/${apiKey.id}/revoke`;
    const attack = createServer((_, response) => {
      response.setHeader("Content-Type", "text/html");
      response.end(`<form method="post" enctype="text/plain" action="${action}"><button>Win a prize</button></form>`);
    });
    attack.listen(0);
    await once(attack, "listening");
    try {
      await signedIn(
        gate,
        "/keys",
        { expectedErrors: [/status of 40[13]/, /CORS policy/, /ERR_FAILED/, /favicon/, status(404)] },
        async (page) => {
          await page.goto(`http://${host}:${/** @type {import("node:net").AddressInfo} */ (attack.address()).port}/`);
          const read = await page.evaluate(
            (url) =>
              fetch(url, { credentials: "include" }).then(
                (answer) => answer.status,
                () => "kept from reading",
              ),
            `${gate.url}/api/admin/api-keys`,
          );
          assert.equal(read, "kept from reading");
          const sent = await page.evaluate(
            (url) =>
              fetch(url, { method: "POST", credentials: "include", mode: "no-cors", body: "{}" }).then(() => true),
            action,
          );
          assert.ok(sent);
          const [answer] = await Promise.all([page.waitForResponse(action), page.getByRole("button").click()]);
          assert.ok(refusal.includes(answer.status()), `the form was answered ${answer.status()}`);
        },
      );
      assert.equal((await owner.get(apiKey.id)).status, "ACTIVE");
      assert.equal((await useKey(gate, plaintextKey)).status, 200);
    } finally {
      attack.close();
    }
  });
}

test("the page is served with a policy that lets nothing in but itself", async () => {
  const answer = await gate.send({ target: "/admin/" });
  assert.equal(answer.status, 200);
  const policy = answer.header("content-security-policy");
  for (const rule of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ]) {
    assert.ok(policy.includes(rule), rule);
  }
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.doesNotMatch(answer.text, /<script(?![^>]* src=)|<style|\son\w+=|\sstyle=/, "nothing is inline");
});
