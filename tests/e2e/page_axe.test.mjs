// axe-core finds nothing on any screen of the admin page: with nothing in it and with much, with its dialogs and its errors, for
// owners and viewers; in light and dark, in forced colours, and on a phone, which never scrolls sideways. In Chromium, against
// the built Worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { bearer } from "./harness/traffic.mjs";
import { waitFor } from "./harness/wait.mjs";
import { follow, heading, NOT_SIGNED_IN, routes, show, signedIn } from "./page.mjs";

/** @import { Page } from "playwright-core" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/**
 * A screen, and the states that it is looked at in besides the one it begins with: those that are only other addresses, and
 * those that somebody who may change things gets to.
 * @typedef {{ path: string, isOpen?: true, at?: Record<string, string>, states?: Record<string, (page: Page) => unknown> }} Screen
 */

const COLOURS = ["color-contrast", "link-in-text-block"];
/** What a screen is looked at in. Where only colours change, only they are looked at. */
const LOOKS = /** @type {const} */ ({
  light: { width: 1280, colorScheme: "light", forcedColors: "none", rules: null },
  dark: { width: 1280, colorScheme: "dark", forcedColors: "none", rules: COLOURS },
  "in forced colours": { width: 1280, colorScheme: "dark", forcedColors: "active", rules: COLOURS },
  "on a phone": { width: 390, colorScheme: "light", forcedColors: "none", rules: null },
});
const AXE = readFileSync(join(root, "node_modules/axe-core/axe.min.js"), "utf8");
const VIEWER = { email: "viewer@example.com", password: "a viewer's long password" };
const LONG = `One word of a hundred: ${"x".repeat(70)}`;
const EXPECTED_ERRORS = [NOT_SIGNED_IN, /status of 40\d/];

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

before(async () => {
  const edit = (/** @type {string} */ text) => `${text}\n[realm.imported]\nprefixes = ["old_"]\nmin_length = 24\n`;
  gate = await startGate({ document: await documentOf("default", { edit }) });
  owner = await gate.owner();
});

after(() => gate?.stop());

const dialog = (/** @type {Page} */ page) => page.locator("dialog[open]");

/** Opens the dialog of a button. */
const opens = (/** @type {string} */ name) => async (/** @type {Page} */ page) => {
  await page.getByRole("main").getByRole("button", { name }).first().click();
  await dialog(page).getByRole("heading").waitFor();
};

/** Sends the form that is shown, with these texts, and gets to see what is wrong with them. */
const refused =
  (/** @type {Record<string, string>} */ texts, /** @type {(page: Page) => unknown} */ first = () => {}) =>
  async (/** @type {Page} */ page) => {
    await first(page);
    const form = page.locator("dialog[open], main").last();
    for (const [label, text] of Object.entries(texts)) await form.getByLabel(label, { exact: true }).fill(text);
    await form.locator("[type=submit]").click();
    await form.locator(".error:not(:empty), [role=alert]:not(:empty)").first().waitFor();
  };

const SIGNED_OUT = {
  "/set-up": {
    path: "/set-up",
    states: {
      "a wrong token": refused({
        "Set-up token": "wrong",
        "E-mail address": OWNER.email,
        Password: "a long password",
      }),
    },
  },
  "/recover": { path: "/recover" },
  "/sign-in": {
    path: "/sign-in",
    states: { "a wrong password": refused({ "E-mail address": OWNER.email, Password: "wrong" }) },
  },
  "/signed-in": { path: "/signed-in" },
  "/join": { path: "/join", at: { "with a token": "invitation=kwi_made_up" } },
  "/new-password": { path: "/new-password", at: { "with a token": "reset=kwi_made_up" } },
};

/**
 * The screens for somebody who is signed in.
 * @param {Record<"key" | "spare" | "turning" | "revoked" | "member", string>} ids
 * @returns {Record<string, Screen>}
 */
const screensOf = ({ key, spare, turning, revoked, member }) => ({
  "/overview": {
    path: "/overview",
    at: {
      "a month": "/overview?period=30d",
      "the deployment": "/overview?scope=deployment",
      "no such page": "/nowhere",
    },
  },
  "/keys": {
    path: "/keys",
    at: { "nothing found": "/keys?q=nothing+is+called+this" },
    states: {
      filters: async (page) => {
        await page.getByRole("button", { name: "Filter" }).click();
        await page.getByLabel("Created by").waitFor();
      },
      "several keys": async (page) => {
        await page.getByLabel("Select all shown").check();
        await opens("Set an expiry")(page);
        await page.getByText(/will change/).waitFor();
      },
      "an export": opens("Export"),
      "the palette": async (page) => {
        await page.keyboard.press("Control+k");
        await page.getByRole("combobox", { name: "Find" }).fill("Turning");
        await page.getByRole("option", { name: "Turning" }).first().waitFor();
      },
    },
  },
  "/keys/new": {
    path: "/keys/new",
    states: {
      "what is wrong": refused({}),
      "more settings": (page) => page.getByText("More settings").click(),
      "shown once": async (page) => {
        await page.getByLabel("Name").fill("Shown once");
        await page.getByRole("button", { name: "Read only" }).click();
        await page.getByRole("button", { name: "Create key" }).click();
        await page.getByTestId("first-use").waitFor();
      },
    },
  },
  "/keys/import": {
    path: "/keys/import",
    states: {
      "what is wrong": async (page) => {
        await page.getByLabel("Or paste the lines").fill("{}");
        await page.getByRole("button", { name: "Check" }).click();
        await page.getByTestId("import-error").first().waitFor();
      },
    },
  },
  "/keys/:id": {
    path: `/keys/${key}`,
    at: {
      "what it may call": `/keys/${key}?tab=access`,
      "a rotation": `/keys/${turning}?tab=timeline`,
      "one that is revoked": `/keys/${revoked}`,
      "a test": `/keys/${key}?tab=test`,
    },
    states: {
      revoking: opens("Revoke key"),
      pausing: opens("Pause"),
      "a test's answer": async (page) => {
        await page.getByRole("link", { name: "Test" }).click();
        await page.getByLabel("Path").fill("/api/orders?page=2");
        await page.getByRole("button", { name: "Explain" }).click();
        await page.getByTestId("explanation").waitFor();
      },
    },
  },
  "/keys/:id/edit": {
    path: `/keys/${key}/edit`,
    states: {
      "what is wrong": refused({ "Requests a minute": "0x10" }),
    },
  },
  "/keys/:id/rotate": {
    path: `/keys/${spare}/rotate`,
    states: {
      "a grace": (page) => page.getByLabel("works for some more time").check(),
      "shown once": async (page) => {
        await page.getByRole("button", { name: "Rotate key" }).click();
        await page.getByTestId("new-key").waitFor();
      },
    },
  },
  "/links/new": { path: "/links/new", states: { "what is wrong": refused({ Page: "https://nowhere.example/" }) } },
  "/routes": {
    path: "/routes",
    states: {
      "an answer": async (page) => {
        await page.getByLabel("Path").fill("/api/orders");
        await page.getByLabel("Key (optional)").fill(key);
        await page.getByRole("button", { name: "Explain" }).click();
        await page.getByTestId("explanation").waitFor();
      },
    },
  },
  "/audit": {
    path: "/audit",
    at: { "nothing found": "/audit?object=nothing" },
    states: {
      "the chain": async (page) => {
        await page.getByRole("button", { name: "Verify the chain" }).click();
        await page.getByText("The chain is whole").waitFor();
      },
    },
  },
  "/members": {
    path: "/members",
    states: {
      "a new role": opens("Change role of"),
      removing: opens("Remove "),
      "a new member, and what is wrong": refused(
        { "E-mail address": "a@example.com", "First password": "x" },
        opens("Add member"),
      ),
      "shown once": async (page) => {
        await opens("Invite")(page);
        await dialog(page).getByLabel("E-mail address").fill("once@example.com");
        await dialog(page).locator("[type=submit]").click();
        await page.getByTestId("new-link").waitFor();
      },
      "the password once more": async (page) => {
        await gate.advance(6 * 60_000);
        await opens("Invite")(page);
        await dialog(page).getByLabel("E-mail address").fill("later@example.com");
        await dialog(page).locator("[type=submit]").click();
        const again = page.getByRole("dialog", { name: "Confirm with your password" });
        await again.getByLabel("Password").fill("wrong");
        await again.getByRole("button", { name: "Confirm" }).click();
        await again.getByText("The password is wrong").waitFor();
      },
    },
  },
  "/members/:id/sessions": { path: `/members/${member}/sessions` },
  "/settings": {
    path: "/settings",
    states: {
      "another password, and what is wrong": refused(
        { "Present password": "wrong", "New password": "typed with much care" },
        opens("Change password"),
      ),
    },
  },
  "/tenants": {
    path: "/tenants",
    states: {
      "a new tenant, and what is wrong": refused({ Code: "?" }, opens("Create tenant")),
      quotas: opens("Quotas of"),
      "a first owner": opens("Invite owner to"),
      "the end of sessions": opens("End sessions of"),
    },
  },
});

test("every screen is looked at here", () => {
  const nobody = { key: "", spare: "", turning: "", revoked: "", member: "" };
  assert.deepEqual(Object.keys({ ...SIGNED_OUT, ...screensOf(nobody) }).sort(), routes().sort());
});

/**
 * What axe finds on what is shown, in each look; and whether a phone would scroll sideways.
 * @param {Page} page
 * @param {string} what is shown
 */
async function faultsOf(page, what) {
  const faults = [];
  if (!(await page.evaluate(() => "axe" in globalThis))) {
    // By the protocol of the browser's own tools, so that the page's policy stays as strict as it is.
    await page.evaluate(AXE);
    await page.evaluate(() => {
      // Where colours are forced, Chromium draws text in the forced one, and answers with the other one here. The page sets none.
      const { getPropertyValue } = CSSStyleDeclaration.prototype;
      CSSStyleDeclaration.prototype.getPropertyValue = function (name) {
        return getPropertyValue.call(this, name === "-webkit-text-fill-color" ? "color" : name);
      };
    });
  }
  for (const [look, { width, rules, ...media }] of Object.entries(LOOKS)) {
    await page.setViewportSize({ width, height: 844 });
    await page.emulateMedia(media);
    const found = await page.evaluate(async (only) => {
      /** @type {typeof import("axe-core")} */
      const axe = Reflect.get(globalThis, "axe");
      const options = only ? { runOnly: [...only] } : { rules: { "target-size": { enabled: true } } };
      const { violations } = await axe.run(document, { ...options, resultTypes: ["violations"], preload: false });
      const { scrollWidth, clientWidth } = document.documentElement;
      const wide = scrollWidth > clientWidth ? [`${scrollWidth} pixels wide`] : [];
      return [
        ...wide,
        ...violations.flatMap(({ id, nodes }) =>
          nodes.map(({ html, any }) => `${id} ${html} ${any.map((one) => one.message)}`),
        ),
      ];
    }, rules);
    faults.push(...found.map((fault) => `${what}, ${look}: ${fault}`));
  }
  return faults;
}

/**
 * What is found on screens; in their states as well, where `isFull`.
 * @param {Page} page
 * @param {Record<string, Screen>} screens
 * @param {boolean} isFull
 */
async function lookAt(page, screens, isFull) {
  page.on("dialog", (question) => question.accept());
  const { forget, settled } = follow(page);
  const faults = [];
  for (const [route, { path, at = {}, states = {} }] of Object.entries(screens)) {
    const ways = [["", path], ...Object.entries(at), ...Object.entries(isFull ? states : {})];
    for (const [name, way] of ways) {
      await page.setViewportSize({ width: LOOKS.light.width, height: 844 });
      await page.goto("about:blank");
      forget();
      await show(page, gate, typeof way === "string" ? way : path);
      await page.locator("main:not([aria-busy]) h1").waitFor();
      if (typeof way !== "string") await way(page);
      await settled();
      faults.push(...(await faultsOf(page, `${route} ${name}`)));
    }
  }
  return faults;
}

/** @type {import("./harness/browser.mjs").PageOptions} */
const OPTIONS = { reducedMotion: "reduce", expectedErrors: EXPECTED_ERRORS };

test("nothing is found on the screens of somebody who is not signed in", async () => {
  assert.deepEqual(await withPage(OPTIONS, (page) => lookAt(page, SIGNED_OUT, true)), []);
});

test("nothing is found where there is nothing yet", async () => {
  const { id } = (await owner.must("GET", "/session")).member;
  const { apiKey } = await owner.createKey();
  const empty = screensOf({ key: apiKey.id, spare: apiKey.id, turning: apiKey.id, revoked: apiKey.id, member: id });
  assert.deepEqual(await signedIn(gate, "/overview", OPTIONS, (page) => lookAt(page, empty, false)), []);
});

describe("with keys, people, tenants and requests", () => {
  /** @type {Record<string, Screen>} */
  let screens;
  before(async () => {
    screens = screensOf(await fill());
  });

  test("nothing is found on an owner's screens, nor where the session has ended", async () => {
    const faults = await signedIn(gate, "/overview", OPTIONS, async (page, context) => {
      const found = await lookAt(page, screens, true);
      await show(page, gate, "/keys/new");
      await heading(page, "Create a key");
      await context.clearCookies();
      // Not with the pointer: what is still being read may have shown the sign-in before.
      await page.getByRole("link", { name: "Audit" }).dispatchEvent("click");
      await page.getByText("Your session has ended").waitFor();
      return [...found, ...(await faultsOf(page, "a session that has ended"))];
    });
    assert.deepEqual(faults, []);
  });

  test("nothing is found on a viewer's screens", async () => {
    const options = { ...OPTIONS, person: VIEWER };
    assert.deepEqual(await signedIn(gate, "/overview", options, (page) => lookAt(page, screens, false)), []);
  });
});

/** Everything that a screen can show, with names as long as they may be. */
async function fill() {
  const inAWeek = new Date(gate.now() + 7 * 86_400_000).toISOString();
  const rateLimit = { perMinute: 60, perDay: 50 };
  const { apiKey: key, plaintextKey } = await owner.createKey({
    name: LONG,
    scopes: ["orders:read", "orders:write"],
    tags: ["a tag", "x".repeat(50)],
    metadata: { note: "x".repeat(200) },
    allowedIps: ["203.0.113.0/24", "2001:db8:1234:5678::/64", "127.0.0.1"],
    expiresAt: inAWeek,
    rateLimit,
  });
  const { apiKey: spare } = await owner.createKey({ name: "Spare" });
  const { apiKey: turning } = await owner.createKey({ name: "Turning" });
  await owner.rotate(turning.id, { revokeOld: false });
  const { apiKey: revoked } = await owner.createKey({ name: "Revoked", testMode: true });
  await owner.revoke(revoked.id, LONG);
  const { apiKey: paused } = await owner.createKey({ name: "Paused" });
  await owner.must("POST", `/api-keys/${paused.id}/pause`, {});
  await owner.must("POST", "/members", { ...VIEWER, role: "viewer" });
  const long = { email: `${"x".repeat(60)}@example.com`, password: "a member's long password" };
  const { member } = await owner.must("POST", "/members", { ...long, role: "admin" });
  await gate.admin().signIn(long);
  await owner.must("POST", "/tenants", { name: LONG, plan: "pro", rateLimit });
  await owner.must("POST", "/invitations", { email: `${"y".repeat(60)}@example.com`, role: "viewer" });
  const send = (method = "GET") =>
    gate.send({
      target: "/api/orders",
      method,
      headers: { ...bearer(plaintextKey), "CF-Connecting-IP": "203.0.113.7" },
    });
  for (let i = 0; i < 3; i += 1) assert.equal((await send()).status, 200);
  await gate.send({ target: "/api/orders", headers: bearer("kw_live_8wJq2rT5mZx1cV7bN4pLkH9dSf3gYa6eUo0i") });
  const isTold = async () => {
    // Reports gather for some minutes.
    await gate.advance(60_000);
    const { points } = await owner.must("GET", "/usage?scope=deployment");
    return points.some(({ accepted, unattributed }) => accepted > 0 && unattributed.INVALID_API_KEY > 0);
  };
  await waitFor("what was sent to be told", isTold, { everyMs: 500 });
  return { key: key.id, spare: spare.id, turning: turning.id, revoked: revoked.id, member: member.id };
}
