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
const DOCUMENTED = [
  "overview-light",
  "overview-dark",
  "keys-light",
  "keys-phone",
  "key-light",
  "new-key-light",
  "find-dark",
];

const KEYS = [
  { name: "Warehouse sync", scopes: ["orders:read", "orders:write"], tags: ["warehouse", "team-logistics"] },
  { name: "Mobile app, staging", scopes: ["orders:read"], testMode: true, tags: ["mobile"] },
  { name: "Invoice export", scopes: ["orders:read"], rateLimit: { perMinute: 60, perDay: 5_000 }, expiresInDays: 12 },
  { name: "Partner: Northwind", scopes: ["orders:*"], allowedIps: ["203.0.113.0/24"], tags: ["partner"] },
  { name: "Nightly report", scopes: ["orders:read"], expiresInDays: 90 },
  { name: "Old web shop", scopes: ["orders:read", "orders:write"], isRevoked: true },
  { name: "متجر الرياض", scopes: ["orders:read"], tags: ["riyadh"] },
  { name: "Support tool", scopes: ["orders:read"], tags: ["support"] },
];

async function fill(gate) {
  const owner = await gate.owner();
  await owner.stepUp();
  const made = [];
  for (const { isRevoked, expiresInDays, ...fields } of KEYS.toReversed()) {
    const expiresAt = expiresInDays && new Date(gate.now() + expiresInDays * 86_400_000).toISOString();
    const { apiKey } = await owner.createKey({ ...fields, ...(expiresAt && { expiresAt }) });
    if (isRevoked) await owner.revoke(apiKey.id);
    made.push(apiKey);
  }
  for (const [name, role] of [
    ["nadia", "admin"],
    ["tom", "viewer"],
  ]) {
    await owner.must("POST", "/members", { email: `${name}@example.com`, role, password: "a long first password" });
  }
  await owner.must("POST", "/tenants", {
    name: "Northwind",
    plan: "pro",
    rateLimit: { perMinute: 1_000, perDay: null },
  });
  await owner.must("POST", "/tenants", { name: "Contoso" });
  return made.at(-1);
}

/** Each screen by name: its path, and what is done there before the picture is taken. */
const screensOf = (key) => ({
  overview: { path: "/overview" },
  keys: { path: "/keys" },
  key: { path: `/keys/${key.id}` },
  "new-key": { path: "/keys/new" },
  edit: { path: `/keys/${key.id}/edit` },
  rotate: { path: `/keys/${key.id}/rotate` },
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
    const screens = screensOf(await fill(gate));
    for (const [look, options] of Object.entries(LOOKS)) {
      const wanted = Object.entries(screens).filter(([name]) => values.all || DOCUMENTED.includes(`${name}-${look}`));
      if (wanted.length === 0) continue;
      await withPage({ ...options, reducedMotion: "reduce", expectedErrors: [/401/] }, async (page) => {
        await page.goto(`${gate.url}${gate.page}/`);
        const picture = async (name, fullPage) =>
          writeFileSync(join(out, `${name}-${look}.png`), smaller(await page.screenshot({ fullPage })));
        if (values.all) await picture("sign-in", false);
        await page.getByLabel("E-mail address").fill(OWNER.email);
        await page.getByLabel("Password").fill(OWNER.password);
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByRole("navigation").waitFor();
        for (const [name, { path, work }] of wanted) {
          await page.goto(`${gate.url}${gate.page}/#${path}`);
          await page.locator("main:not([aria-busy])").waitFor();
          await page.waitForFunction((hash) => location.hash === hash, `#${path}`);
          await work?.(page);
          await picture(name, Boolean(values.all) && !work);
        }
      });
    }
  } finally {
    await gate.stop();
  }
  console.log(`The pictures are in ${out}.`);
});
