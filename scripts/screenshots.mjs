// Pictures of the admin page, with made-up data:
//   npm run screenshots              those of the documentation, into docs/images/
//   npm run screenshots -- --all     each screen, light, dark and on a phone, into target/screenshots/
// It starts a gate as the end-to-end tests do, so the Worker must be built (npm run build).

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { OWNER } from "../tests/e2e/harness/admin.mjs";
import { withPage } from "../tests/e2e/harness/browser.mjs";
import { startGate } from "../tests/e2e/harness/gate.mjs";
import { fill, told } from "./lib/lively.mjs";
import { root } from "./lib/places.mjs";
import { smaller } from "./lib/png.mjs";
import { runMain } from "./lib/progress.mjs";

/** @import { PageOptions } from "../tests/e2e/harness/browser.mjs" */
/** @type {Record<string, PageOptions>} */
const LOOKS = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", deviceScaleFactor: 1.5 },
};

/** In docs/images/. */
const DOCUMENTED = ["overview-dark", "keys-light", "keys-phone", "key-light", "new-key-light", "find-dark"];

const charts = (page) => page.locator(".bars").first().waitFor();

/** Each screen by name: its path, and what is done there before the picture is taken. */
const screensOf = ({ key, replaced }) => ({
  overview: { path: "/overview?period=30d", work: charts },
  guesses: { path: "/overview?period=24h&scope=deployment", work: charts },
  keys: { path: "/keys" },
  "keys-filtered": {
    path: "/keys?status=ACTIVE&scope=orders%3Aread&sort=name",
    work: (page) => page.getByRole("button", { name: "Filter" }).click(),
  },
  "keys-chosen": {
    path: "/keys?status=ACTIVE",
    async work(page) {
      await page.getByLabel("Select all shown").check();
      await page.getByRole("button", { name: "Set an expiry" }).click();
      await page.getByText(/will change/).waitFor();
    },
    leave: (page) => page.keyboard.press("Escape"),
  },
  key: { path: `/keys/${key.id}?period=30d`, work: charts },
  "key-access": { path: `/keys/${key.id}?tab=access` },
  "key-timeline": { path: `/keys/${replaced.id}?tab=timeline` },
  "key-test": {
    path: `/keys/${key.id}?tab=test`,
    async work(page) {
      await page.getByLabel("Path").fill("/api/orders?page=2");
      await page.getByRole("button", { name: "Explain" }).click();
      await page.getByTestId("explanation").waitFor();
    },
  },
  "new-key": {
    path: "/keys/new",
    async work(page) {
      await page.getByLabel("Name").fill("Warehouse sync, Rotterdam");
      await page.getByRole("button", { name: "Read only" }).click();
      const may = page.getByRole("region", { name: "May call", exact: true });
      await may.getByRole("listitem").filter({ hasText: "GET HEAD /api/orders*" }).waitFor();
    },
  },
  "key-made": {
    path: "/keys/new",
    async work(page) {
      await page.getByLabel("Name").fill("Warehouse sync, Rotterdam");
      await page.getByRole("button", { name: "Read only" }).click();
      await page.getByRole("button", { name: "Create key" }).click();
      await page.getByTestId("first-use").waitFor();
    },
    leave: (page) => page.getByRole("button", { name: "I have saved it" }).click(),
  },
  edit: { path: `/keys/${key.id}/edit` },
  rotate: { path: `/keys/${key.id}/rotate` },
  routes: {
    path: "/routes",
    async work(page) {
      await page.getByTestId("route-row").first().getByRole("button").click();
      await page.getByText("Who can call it").waitFor();
    },
  },
  audit: { path: "/audit" },
  people: { path: "/members" },
  tenants: { path: "/tenants" },
  settings: { path: "/settings" },
  find: {
    path: "/keys",
    async work(page) {
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: "Find" }).fill("part");
      await page.getByRole("option", { name: "Partner" }).waitFor();
    },
  },
});

await runMain(async () => {
  const { values } = parseArgs({ options: { all: { type: "boolean" } } });
  const out = join(root, values.all ? "target/screenshots" : "docs/images");
  mkdirSync(out, { recursive: true });
  const gate = await startGate();
  try {
    const filled = await fill(gate);
    await told(gate);
    const screens = screensOf(filled);
    for (const [look, options] of Object.entries(LOOKS)) {
      const wanted = Object.entries(screens).filter(([name]) => values.all || DOCUMENTED.includes(`${name}-${look}`));
      if (wanted.length === 0) continue;
      await withPage({ ...options, reducedMotion: "reduce", expectedErrors: [/401/] }, async (page) => {
        await page.goto(`${gate.url}${gate.page}/`);
        const picture = async (name, fullPage) => {
          await page.mouse.move(0, 0);
          writeFileSync(join(out, `${name}-${look}.png`), smaller(await page.screenshot({ fullPage })));
        };
        if (values.all) await picture("sign-in", false);
        await page.getByLabel("E-mail address").fill(OWNER.email);
        await page.getByLabel("Password").fill(OWNER.password);
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByRole("navigation").waitFor();
        for (const [name, { path, work, leave }] of wanted) {
          await page.goto(`${gate.url}${gate.page}/#${path}`);
          await page.locator("main:not([aria-busy])").waitFor();
          await page.waitForFunction((hash) => location.hash === hash, `#${path}`);
          await work?.(page);
          await picture(name, Boolean(values.all) && name !== "find");
          await leave?.(page);
        }
      });
    }
  } finally {
    await gate.stop();
  }
  console.log(`The pictures are in ${out}.`);
});
