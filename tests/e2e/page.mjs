// What the tests of the admin page have in common.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "../../scripts/lib/places.mjs";
import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { BrowserContext, Page, Request } from "playwright-core" */
/** @import { Credentials } from "../../types/admin-api.js" */
/** @import { PageOptions } from "./harness/browser.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** What Chromium logs for an answer that is not a success. A test names those that it provokes. */
export const status = (/** @type {number} */ code) => new RegExp(`the server responded with a status of ${code} `);

/** The page asks who is signed in before it can know that nobody is. */
export const NOT_SIGNED_IN = status(401);

/** The routes of all its screens. */
export function routes() {
  const source = readFileSync(join(root, "www/main.tsx"), "utf8");
  return [...source.matchAll(/^route\("([^"]+)"/gm)].map(([, route]) => route);
}

/**
 * Follows what a page asks of the API.
 * @param {Page} page
 */
export function follow(page) {
  /** @type {Request[]} Since the last `forget`. */
  let asked = [];
  /** @type {Set<Request>} */
  const ended = new Set();
  const end = (/** @type {Request} */ request) => void ended.add(request);
  page.on("request", (request) => {
    if (request.url().includes("/api/")) asked.push(request);
  });
  page.on("requestfinished", end);
  page.on("requestfailed", end);
  return {
    asked: () => asked,
    forget: () => {
      asked = [];
    },
    /** Awaits that nothing is under way any more: what was asked is answered and drawn, and has led to no other question. */
    settled: () =>
      waitFor("the page to settle", async () => {
        const before = asked.length;
        // Whatever the last event has led to has been sent, or drawn, after this.
        await page.evaluate(
          () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))),
        );
        return asked.length === before && asked.every((request) => ended.has(request));
      }),
  };
}

/**
 * Goes to a view of the page.
 * @param {Page} page
 * @param {Pick<Gate, "url" | "page">} gate
 * @param {string} path
 */
export const show = (page, gate, path) => page.goto(`${gate.url}${gate.page}/#${path}`);

/**
 * Awaits a view by its heading.
 * @param {Page} page
 * @param {string | RegExp} name
 */
export const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();

/**
 * Fills in the sign-in form and sends it.
 * @param {Page} page
 * @param {Credentials} person
 */
export async function signIn(page, { email, password } = OWNER) {
  await page.getByLabel("E-mail address", { exact: true }).fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/**
 * Runs `work(page, context)` with `person` (by default the first owner) signed in and `path` shown; other
 * `options` as for `withPage`.
 * @template Result
 * @param {Pick<Gate, "url" | "page">} gate
 * @param {string} path
 * @param {PageOptions & { person?: Credentials }} options
 * @param {(page: Page, context: BrowserContext) => Promise<Result>} work
 */
export function signedIn(gate, path, { person = OWNER, expectedErrors = [], ...options }, work) {
  return withPage({ ...options, expectedErrors: [NOT_SIGNED_IN, ...expectedErrors] }, async (page, context) => {
    await show(page, gate, "/sign-in");
    await signIn(page, person);
    await heading(page, "Overview");
    if (path !== "/overview") await show(page, gate, path);
    return work(page, context);
  });
}

/**
 * A request with a key, to a route that `orders:read` opens.
 * @param {Gate} gate
 * @param {string} key
 */
export const useKey = (gate, key) => gate.send({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` } });
