// Every screen of the admin page, for each role, without a network, without a registry, with hostile names, and with a session
// that ends in each form. In Chromium, against the built Worker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { startGate } from "./harness/gate.mjs";
import { follow, heading, NOT_SIGNED_IN, routes, show, signedIn, signIn, status } from "./page.mjs";

/** @import { Locator, Page, Request } from "playwright-core" */
/** @import { ApiKey } from "../../types/admin-api.js" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const PEOPLE = {
  owner: OWNER,
  admin: { email: "admin@example.com", password: "an admin's long password" },
  viewer: { email: "viewer@example.com", password: "a viewer's long password" },
};
const HOSTILE = `<img src=x onerror="window.ran=1">"'&\u05e9`;
const NAME = `Hostile ${HOSTILE}`;
const CHANGES = /^Viewers change nothing/;
const NOT_SHOWN = "This cannot be shown";

/**
 * `title`: its heading; `viewer` and `admin` where theirs is another one.
 * @typedef {{ path: string, title: string | RegExp, viewer?: string | RegExp, admin?: string | RegExp, isOpen?: true, reads?: false }} Screen
 */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** @type {(key: ApiKey) => Record<string, Screen>} Every screen, by its route; those of a key are of this one. */
let screensOf;
/** @type {Record<string, Screen>} */
let screens;

before(async () => {
  gate = await startGate();
  owner = await gate.owner();
  await owner.stepUp();
  const made = {};
  for (const role of /** @type {const} */ (["admin", "viewer"]))
    made[role] = (await owner.must("POST", "/members", { ...PEOPLE[role], role })).member;
  const { apiKey } = await owner.createKey({ name: NAME, tags: [HOSTILE], metadata: { note: HOSTILE } });
  const revoked = await owner.createKey({ name: HOSTILE });
  await owner.revoke(revoked.apiKey.id, HOSTILE);
  await owner.must("POST", "/tenants", { name: HOSTILE });
  await owner.must("POST", "/invitations", { email: "somebody@example.com", role: "viewer" });
  const closed = { admin: NOT_SHOWN, viewer: NOT_SHOWN };
  screensOf = ({ id, name }) => ({
    "/set-up": { path: "/set-up", title: "Set up Keyward", isOpen: true },
    "/recover": { path: "/recover", title: "Recover the deployment", isOpen: true },
    "/sign-in": { path: "/sign-in?next=javascript:alert(1)", title: "Sign in", isOpen: true },
    "/signed-in": { path: "/signed-in", title: "Sign in", isOpen: true },
    "/join": { path: "/join", title: "Join Keyward", isOpen: true },
    "/new-password": { path: "/new-password", title: "Set a new password", isOpen: true },
    "/overview": { path: "/overview", title: "Overview" },
    "/keys": { path: `/keys?${new URLSearchParams({ q: name })}`, title: "Keys" },
    "/keys/new": { path: "/keys/new", title: "Create a key", viewer: CHANGES },
    "/keys/import": { path: "/keys/import", title: "Import keys", viewer: CHANGES, reads: false },
    "/keys/:id": { path: `/keys/${id}`, title: name },
    "/keys/:id/edit": { path: `/keys/${id}/edit`, title: `Edit ${name}`, viewer: CHANGES },
    "/keys/:id/rotate": { path: `/keys/${id}/rotate`, title: `Rotate ${name}`, viewer: CHANGES },
    "/links/new": { path: "/links/new", title: "Create a link", viewer: CHANGES, reads: false },
    "/routes": { path: "/routes", title: "Routes" },
    "/audit": { path: `/audit?${new URLSearchParams({ object: id })}`, title: "Audit" },
    "/members": { path: "/members", title: "People" },
    // One's own sessions are the settings.
    "/members/:id/sessions": {
      path: `/members/${made.admin.id}/sessions`,
      title: /^Sessions of/,
      ...closed,
      admin: "Settings",
    },
    "/settings": { path: "/settings", title: "Settings" },
    "/tenants": { path: "/tenants", title: "Tenants", ...closed },
  });
  screens = screensOf(apiKey);
});

after(() => gate?.stop());

const closed = () => Object.values(screens).filter((screen) => !screen.isOpen);

test("every screen is looked at here", () => {
  assert.deepEqual(Object.keys(screens).sort(), routes().sort());
});

/** What a screen lacks for whoever cannot see it; and what would be HTML. */
const faults = (/** @type {Page} */ page) =>
  page.evaluate(() => {
    const found = [];
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    if (new Set(ids).size < ids.length) found.push("two elements of one id");
    if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
    for (const control of document.querySelectorAll("main :is(input, select, textarea)")) {
      const labels = /** @type {HTMLInputElement} */ (control).labels;
      const isNamed = control.getAttribute("aria-label") || [...(labels ?? [])].some((label) => label.textContent);
      if (!isNamed && !control.closest("[hidden]") && !control.hasAttribute("hidden")) found.push(control.outerHTML);
    }
    for (const button of document.querySelectorAll("button, a"))
      if (!(button.getAttribute("aria-label") ?? button.textContent)) found.push(button.outerHTML);
    for (const image of document.querySelectorAll("img:not([alt]), main img[src=x]")) found.push(image.outerHTML);
    const words = /\bRFC \d|\bnull\b|\bundefined\b|\bNaN\b|\[object/.exec(document.body.innerText);
    if (words) found.push(`in words of the API: ${words[0]}`);
    if ("ran" in window) found.push("a name ran as a script");
    return found;
  });

for (const role of /** @type {const} */ (["owner", "admin", "viewer"])) {
  test(`every screen is shown to an ${role}, names every control, and shows hostile names as text`, async () => {
    const expectedErrors = role === "owner" ? [] : [status(403)];
    await signedIn(gate, "/settings", { person: PEOPLE[role], expectedErrors }, async (page) => {
      for (const { path, title, ...others } of closed()) {
        await show(page, gate, path);
        await heading(page, (role !== "owner" && others[role]) || title);
        assert.deepEqual(await faults(page), [], `${role} ${path}`);
      }
    });
  });
}

test("every screen for somebody who is not signed in names every control", async () => {
  await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page) => {
    for (const { path, title } of Object.values(screens).filter(({ isOpen }) => isOpen)) {
      await show(page, gate, path);
      await heading(page, title);
      assert.deepEqual(await faults(page), [], path);
    }
  });
});

/** Buttons that each role has at least. */
const HAS = {
  admin: ["Create key", "Save", "Rotate key", "Pause", "Revoke key", "Create link", "Sign out", "Revoke", "Export"],
  viewer: ["Filter", "Export", "Explain", "Verify the chain", "Change password", "Sign out"],
};

for (const role of /** @type {const} */ (["admin", "viewer"])) {
  test(`no button that an ${role} sees is refused`, async () => {
    const options = { person: PEOPLE[role], expectedErrors: [/the server responded with a status of 4/] };
    await signedIn(gate, "/settings", options, async (page) => {
      page.on("dialog", (question) => question.accept());
      const { asked, forget, settled } = follow(page);
      const pressed = [];
      /** Shows a screen for a key of its own, with all that is there chosen; its buttons. */
      const buttonsOf = async (/** @type {string} */ route) => {
        const { apiKey } = await owner.createKey({ name: `${NAME} ${pressed.length}` });
        const { path, title } = screensOf(apiKey)[route];
        await page.goto("about:blank");
        forget();
        await show(page, gate, path);
        await page.locator("main:not([aria-busy]) h1").waitFor();
        // Whoever has signed out before.
        if ((await page.getByRole("heading", { level: 1, name: "Sign in" }).count()) === 1)
          await signIn(page, PEOPLE[role]);
        await heading(page, title);
        await settled();
        // What can be done with several keys has no buttons before.
        if (route === "/keys" && role !== "viewer") await page.getByLabel("Select all shown").check();
        return page.locator("main").locator("button:visible");
      };
      for (const [route, { title, isOpen, ...others }] of Object.entries(screens)) {
        if (isOpen || (others[role] ?? title) !== title) continue;
        const names = await (await buttonsOf(route)).allInnerTexts();
        for (const [n, name] of names.entries()) {
          // Something to end besides this session.
          if (/End/.test(name)) await gate.admin().signIn(PEOPLE[role]);
          const what = `${route} ${name}`;
          const button = (await buttonsOf(route)).nth(n);
          assert.equal(await button.innerText(), name, what);
          pressed.push(name);
          forget();
          await button.click();
          await settled();
          const dialog = page.locator("dialog[open]");
          if ((await dialog.count()) > 0) {
            for (const field of await dialog.locator("input:not([type=checkbox], [type=radio]):visible").all())
              await field.fill("something");
            const before = asked().length;
            await dialog.locator("[type=submit]").click();
            await settled();
            assert.notEqual(asked().length, before, `${what} asks for nothing`);
          }
          assert.deepEqual(await forbidden(asked()), [], what);
        }
      }
      assert.deepEqual(
        HAS[role].filter((name) => !pressed.includes(name)),
        [],
        pressed.join(),
      );
    });
  });
}

/**
 * Which of these calls were forbidden: not those that want the password once more.
 * @param {Request[]} calls
 */
async function forbidden(calls) {
  const found = [];
  for (const call of calls) {
    const answer = await call.response();
    if (answer?.status() === 403 && (await answer.json()).code !== "STEP_UP_REQUIRED")
      found.push(`${call.method()} ${call.url()}`);
  }
  return found;
}

/** @type {Record<string, Parameters<import("playwright-core").Route["fulfill"]>[0] | null>} */
const FAILURES = {
  "the registry does not answer": {
    status: 503,
    contentType: "application/problem+json",
    body: JSON.stringify({ status: 503, code: "STORE_UNAVAILABLE", detail: "The registry did not answer." }),
  },
  "there is no network": null,
};

for (const [name, answer] of Object.entries(FAILURES)) {
  test(`where ${name}, every screen says so, and trying again shows it once that is over`, async () => {
    await signedIn(gate, "/settings", { expectedErrors: [status(503), /ERR_FAILED/] }, async (page) => {
      for (const { path, title, reads } of closed()) {
        if (reads === false) continue;
        await heading(page, /./);
        await page.route("**/api/admin/**", (route) => {
          if (route.request().url().endsWith("/session")) return route.continue();
          return answer ? route.fulfill(answer) : route.abort();
        });
        await page.goto("about:blank");
        await show(page, gate, path);
        await page.getByText("did not answer").first().waitFor();
        await page.unroute("**/api/admin/**");
        await page.getByRole("button", { name: "Try again" }).first().click();
        await heading(page, title);
      }
    });
  });
}

/** @returns {Record<string, { path: string, opens?: string, typed: Record<string, string>, submit: string }>} */
const forms = () => {
  const key = screens["/keys/:id"].path;
  return {
    "a new key": { path: "/keys/new", typed: { Name: "Typed", Tags: "one, two" }, submit: "Create key" },
    "an edit": { path: `${key}/edit`, typed: { Name: "Typed" }, submit: "Save" },
    "a link": {
      path: "/links/new",
      typed: { Page: "https://shop.example.com/", "Subject (optional)": "cart 7" },
      submit: "Create link",
    },
    "a question": { path: "/routes", typed: { Path: "/api/orders?typed" }, submit: "Explain" },
    "the reason of a revocation": {
      path: key,
      opens: "Revoke key",
      typed: { "Reason (optional)": "typed" },
      submit: "Revoke key",
    },
    "another password": {
      path: "/settings",
      opens: "Change password",
      typed: { "Present password": OWNER.password, "New password": "typed with much care" },
      submit: "Change password",
    },
    "an invitation": {
      path: "/members",
      opens: "Invite",
      typed: { "E-mail address": "typed@example.com" },
      submit: "Make the link",
    },
    "a member": {
      path: "/members",
      opens: "Add member",
      typed: { "E-mail address": "typed2@example.com", "First password": "typed with much care" },
      submit: "Add member",
    },
    "a tenant": {
      path: "/tenants",
      opens: "Create tenant",
      typed: { Name: "Typed", Plan: "pro" },
      submit: "Create tenant",
    },
  };
};

test("a session that ends in a form leaves what was typed in it", async () => {
  for (const [name, { path, opens, typed, submit }] of Object.entries(forms())) {
    await signedIn(gate, path, { expectedErrors: [status(401), /ERR_FAILED/] }, async (page, context) => {
      await page.locator("main:not([aria-busy]) h1").waitFor();
      if (opens) await page.getByRole("main").getByRole("button", { name: opens, exact: true }).first().click();
      const form = page.locator(opens ? "dialog >> nth=0" : "main");
      /** @type {Locator[]} */
      const fields = [];
      for (const [label, text] of Object.entries(typed)) {
        fields.push(form.getByLabel(label, { exact: true }));
        await form.getByLabel(label, { exact: true }).fill(text);
      }
      await context.clearCookies();
      await form.locator("[type=submit]", { hasText: submit }).dispatchEvent("click");
      await page.getByText("Your session has ended").waitFor();
      const kept = await Promise.all(fields.map((field) => field.inputValue()));
      assert.deepEqual(kept, Object.values(typed), name);
      const cover = page.getByRole("dialog", { name: "Sign in" });
      await cover.getByLabel("Password").fill(OWNER.password);
      // What comes of it is for other tests.
      await page.route("**/api/admin/**", (route) =>
        route.request().url().endsWith("/session") ? route.continue() : route.abort(),
      );
      await cover.getByRole("button", { name: "Sign in" }).click();
      await cover.waitFor({ state: "detached" });
      assert.deepEqual(await Promise.all(fields.map((field) => field.inputValue())), kept, name);
    });
  }
});

test("whoever signs out in one tab is asked to sign in in the other, which then goes on", async () => {
  await signedIn(gate, "/audit", { expectedErrors: [status(401)] }, async (page, context) => {
    await heading(page, "Audit");
    const other = await context.newPage();
    await show(other, gate, "/keys");
    await heading(other, "Keys");
    await other.getByRole("button", { name: "Sign out" }).click();
    await heading(other, "Sign in");
    await page.getByRole("link", { name: "Routes" }).click();
    await page.getByText("Your session has ended").waitFor();
    await signIn(page);
    await heading(page, "Routes");
  });
});

test("two tabs that edit one key: the second saves nothing, keeps what was typed, and shows what the first one did", async () => {
  const { apiKey } = await owner.createKey({ name: "Edited twice" });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, { expectedErrors: [status(412)] }, async (page, context) => {
    await heading(page, "Edit Edited twice");
    const other = await context.newPage();
    await show(other, gate, `/keys/${apiKey.id}/edit`);
    await heading(other, "Edit Edited twice");
    await other.getByLabel("Tags").fill("first");
    await other.getByRole("button", { name: "Save" }).click();
    await heading(other, "Edited twice");
    await page.getByLabel("Name").fill("Edited last");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Someone else changed this key").waitFor();
    assert.equal(await page.getByLabel("Name").inputValue(), "Edited last");
    assert.equal(await page.getByLabel("Tags").inputValue(), "first");
    assert.equal((await owner.get(apiKey.id)).name, "Edited twice");
    await page.getByRole("button", { name: "Save" }).click();
    await heading(page, "Edited last");
  });
});
