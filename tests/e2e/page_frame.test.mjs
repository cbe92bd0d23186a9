// The admin page's frame in Chromium, against the built Worker: how it is served, what it keeps while somebody works on it,
// and how it finds things.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { PAGE } from "../../scripts/lib/page.mjs";
import { root } from "../../scripts/lib/places.mjs";
import { OWNER } from "./harness/admin.mjs";
import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, show, signedIn, signIn, status } from "./page.mjs";
import { newMember, newTenant, PASSWORD, startSystems } from "./systems.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** Most bytes of the page's HTML, script and style sheet, gzipped. */
const MOST_BYTES = 56_700;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

before(async () => {
  gate = await startGate();
  owner = await gate.owner();
  await owner.stepUp();
});

after(() => gate?.stop());

/** The page's script and style sheet, as its HTML names them. */
async function filesNamed() {
  const { text } = await gate.send({ target: "/admin/" });
  return [...text.matchAll(/"\.\/(page-[^"]+)"/g)].map(([, name]) => name);
}

test("the page stays small", () => {
  const files = readdirSync(join(root, PAGE)).filter((name) => name !== "icon.svg");
  const index = readFileSync(join(root, PAGE, "index.html"), "utf8");
  const used = files.filter((name) => name === "index.html" || index.includes(name));
  assert.equal(used.length, 3, "one HTML, one script, one style sheet");
  const bytes = used
    .map((name) => gzipSync(readFileSync(join(root, PAGE, name)), { level: 9 }).length)
    .reduce((sum, one) => sum + one);
  assert.ok(bytes <= MOST_BYTES, `${bytes} bytes gzipped, and may have ${MOST_BYTES}`);
});

test("script and style sheet are kept for good, and the HTML that names them is not", async () => {
  const names = await filesNamed();
  assert.equal(names.length, 2);
  for (const name of names) {
    const answer = await gate.send({ target: `/admin/${name}` });
    assert.equal(answer.status, 200);
    assert.equal(answer.header("cache-control"), "public, max-age=31536000, immutable", name);
  }
  for (const target of ["/admin/", "/admin/settings.js", "/admin/icon.svg", "/admin/page-00000000.js"]) {
    assert.equal((await gate.send({ target })).header("cache-control"), "no-cache", target);
  }
});

test("nothing in the page can turn a text into HTML or script: Trusted Types are enforced, with no policy", async () => {
  await signedIn(gate, "/keys", { expectedErrors: [/TrustedHTML|Trusted ?Type/] }, async (page) => {
    const refused = await page.evaluate(() => {
      const attempts = {
        html: () => document.body.insertAdjacentHTML("beforeend", "<b>no</b>"),
        policy: () =>
          /** @type {{ trustedTypes?: { createPolicy: (name: string, rules: object) => unknown } }} */ (
            /** @type {unknown} */ (globalThis)
          ).trustedTypes?.createPolicy("own", { createHTML: (text) => text }),
      };
      return Object.entries(attempts).flatMap(([name, attempt]) => {
        try {
          attempt();
          return [];
        } catch (error) {
          return [`${name} ${error.name}`];
        }
      });
    });
    assert.deepEqual(refused, ["html TypeError", "policy TypeError"]);
  });
});

test("what was typed stays when the session ends, and is saved once the same person has signed in", async () => {
  const { apiKey } = await owner.createKey({ name: "Long work" });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, { expectedErrors: [status(401)] }, async (page, context) => {
    await page.getByLabel("Name").fill("Long work, done");
    await context.clearCookies();
    await page.getByRole("button", { name: "Save" }).dispatchEvent("click");
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.getByText("Your session has ended").waitFor();
    assert.equal(await dialog.getByLabel("E-mail address").inputValue(), OWNER.email);
    const cover = await dialog.evaluate((node) => getComputedStyle(node, "::backdrop").backgroundColor);
    assert.match(cover, /^rgb\(/, "what was shown is covered, not just dimmed");
    await dialog.getByLabel("Password").fill("not the password");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByText("The e-mail address or the password is wrong.").waitFor();
    await dialog.getByLabel("Password").fill(OWNER.password);
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await heading(page, "Long work, done");
    assert.equal((await owner.get(apiKey.id)).name, "Long work, done");
  });
});

test("whoever does not sign in again gets to the sign-in, and whoever else does sees nothing of the one before", async () => {
  const other = { email: "somebody.else@example.com", password: "somebody else's password" };
  await owner.must("POST", "/members", { ...other, role: "viewer" });
  const { apiKey } = await owner.createKey({ name: "Left open" });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, { expectedErrors: [status(401)] }, async (page, context) => {
    const end = async () => {
      await context.clearCookies();
      await page.getByLabel("Name").fill("Half typed");
      // Not with the pointer: what is still being read may have shown the sign-in before.
      await page.getByRole("button", { name: "Save" }).dispatchEvent("click");
    };
    await heading(page, "Edit Left open");
    await end();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await heading(page, "Sign in");
    await signIn(page);
    await heading(page, "Edit Left open");
    await end();
    // For somebody else the page begins anew.
    const loaded = page.waitForEvent("load");
    await signIn(page, other);
    await loaded;
    await page.getByRole("navigation").waitFor();
    const typed = page.locator("input").evaluateAll((fields) => fields.map((field) => Reflect.get(field, "value")));
    assert.ok(!(await typed).includes("Half typed"));
    assert.equal((await owner.get(apiKey.id)).name, "Left open", "nothing was saved in another one's name");
    assert.equal(await page.getByRole("link", { name: "People" }).count(), 0);
  });
});

test("a list that is gone back to is as it was, where it was; and as it is now, once something has changed", async () => {
  for (let i = 0; i < 60; i += 1) await owner.createKey({ name: `Listed ${i}` });
  await signedIn(gate, "/keys?q=Listed", {}, async (page) => {
    const rows = page.getByTestId("key-row");
    await page.getByRole("link", { name: "Next" }).click();
    await page.getByText("51–60 of 60 keys").waitFor();
    await page.getByRole("link", { name: "Previous" }).click();
    await page.getByText("1–50 of 60 keys").waitFor();
    await rows.getByRole("link", { name: "Listed 12", exact: true }).click();
    await heading(page, "Listed 12");
    await page.goBack();
    await heading(page, "Keys");
    assert.equal(await rows.count(), 50);
    assert.ok((await page.evaluate(() => scrollY)) > 500, "where it was");
    await rows.getByRole("link", { name: "Listed 12", exact: true }).click();
    await page.getByRole("button", { name: "Revoke key" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke key" }).click();
    await page.getByTestId("refused-by").waitFor();
    await page.goBack();
    await heading(page, "Keys");
    await rows.filter({ hasText: "Listed 12" }).getByText("Revoked").waitFor();
    assert.equal(await rows.count(), 50);
  });
});

test("what somebody else has changed is seen when the window is looked at again", async () => {
  const { apiKey } = await owner.createKey({ name: "Looked at" });
  await signedIn(gate, `/keys/${apiKey.id}`, {}, async (page) => {
    await owner.patch(apiKey.id, { name: "Looked at again" });
    await waitFor("the new name", async () => {
      await page.evaluate(() => dispatchEvent(new Event("focus")));
      return (await page.getByRole("heading", { level: 1, name: "Looked at again" }).count()) === 1;
    });
  });
});

test("Ctrl-K finds screens, and keys by name, tag and last four characters; a whole key gets nowhere", async () => {
  const { apiKey, plaintextKey } = await owner.createKey({ name: "Palette one", tags: ["found-by-tag"] });
  await signedIn(gate, "/overview", {}, async (page) => {
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    for (const text of ["palette on", "found-by", apiKey.last4, plaintextKey]) {
      await show(page, gate, "/overview");
      await heading(page, "Overview");
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: "Find" }).fill(text);
      await page.getByRole("option", { name: "Palette one" }).waitFor();
      await page.keyboard.press("Enter");
      await heading(page, "Palette one");
    }
    assert.deepEqual(
      asked.filter((url) => url.includes(plaintextKey.slice(0, -8))),
      [],
    );
    await page.keyboard.press("Control+k");
    await page.keyboard.type("set");
    await page.getByRole("option", { name: "Settings" }).waitFor();
    await page.keyboard.press("Enter");
    await heading(page, "Settings");
    assert.equal(await page.getByRole("dialog").count(), 0);
  });
});

test("on a phone 50 keys are a few screens high, and nothing of the rail is missing", async () => {
  for (let i = 0; i < 50; i += 1) await owner.createKey({ name: `On a phone ${i}` });
  await signedIn(gate, "/keys", { viewport: { width: 390, height: 844 } }, async (page) => {
    await waitFor("the keys", async () => (await page.getByTestId("key-row").count()) === 50);
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    assert.ok(height < 5_000, `${height} pixels`);
    const { length } = await page.getByRole("navigation", { name: "Main" }).getByRole("link").all();
    assert.equal(length, 7);
    for (const link of await page.getByRole("navigation", { name: "Main" }).getByRole("link").all())
      assert.ok(await link.isVisible());
  });
});

test("a name in another direction of writing does not reorder what stands around it", async () => {
  const name = "\u05e9\u05dc\u05d5\u05dd";
  const { apiKey } = await owner.createKey({ name, tags: [name] });
  await signedIn(gate, `/keys/${apiKey.id}`, {}, async (page) => {
    await heading(page, name);
    assert.equal(await page.getByRole("main").locator("bdi", { hasText: name }).count(), 2);
    await show(page, gate, "/keys");
    await page.getByTestId("key-row").first().locator("bdi", { hasText: name }).waitFor();
  });
});

test("what was typed for a new key stays when another realm is chosen", async () => {
  const { gate: systems, operator } = await startSystems();
  try {
    const { owner: acme, person } = await newTenant(systems, operator, { name: "Acme", code: "ABC123" });
    await acme.stepUp(PASSWORD);
    await newMember(systems, acme, "admin@example.com", "admin");
    await signedIn(systems, "/keys/new", { person }, async (page) => {
      await page.getByLabel("Realm").selectOption("bd");
      await page.getByLabel("Name").fill("Typed once");
      await page.getByLabel("Tags").fill("kept");
      await page.getByText("More settings").click();
      await page.getByLabel("Requests a minute").fill("7");
      const scope = page.getByRole("checkbox").first();
      await scope.check();
      for (const realm of ["bs", "gw", "bd"]) {
        await page.getByLabel("Realm").selectOption(realm);
        assert.equal(await page.getByLabel("Name").inputValue(), "Typed once", realm);
        assert.equal(await page.getByLabel("Tags").inputValue(), "kept", realm);
        assert.equal(await page.getByLabel("Requests a minute").inputValue(), "7", realm);
        await page.getByLabel("Allowed addresses").fill(`203.0.113.${realm.length}`);
      }
      assert.ok(await scope.isChecked(), "also what the realm between did not have");
    });
  } finally {
    await systems.stop();
  }
});
