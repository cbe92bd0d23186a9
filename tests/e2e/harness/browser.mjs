// Chromium for tests of the page. What the page reports as an error fails the test.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { findChromium } from "../../../scripts/lib/places.mjs";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** @import { BrowserContext, BrowserContextOptions, Page } from "playwright-core" */
/**
 * Options of Playwright's `newContext` (`viewport`, `colorScheme` …), and patterns of console errors that are no
 * fault (a 401 is one to Chromium).
 * @typedef {BrowserContextOptions & { expectedErrors?: RegExp[] }} PageOptions
 */

/**
 * Runs `work(page, context)` in a fresh profile and closes the browser after it.
 * @template Result
 * @param {PageOptions} options
 * @param {(page: Page, context: BrowserContext) => Promise<Result>} work
 */
export async function withPage({ expectedErrors = [], ...options }, work) {
  const launch = () => chromium.launch({ executablePath: findChromium(), headless: true, args: FLAGS });
  // Debian's Chromium now and then ends with SIGSEGV as it starts, before it has seen anything of the page.
  const browser = await launch().catch(launch);
  try {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    /** @type {string[]} */
    const errors = [];
    const note = (/** @type {string} */ text) => {
      if (!expectedErrors.some((pattern) => pattern.test(text))) errors.push(text);
    };
    page.on("pageerror", (error) => note(`uncaught: ${error.stack}`));
    page.on("console", (message) => {
      if (message.type() === "error") note(`console: ${message.text()}`);
    });
    const result = await work(page, context);
    assert.deepEqual(errors, [], "errors that the page reported");
    return result;
  } finally {
    await browser.close();
  }
}
