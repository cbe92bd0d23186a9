// A Worker of one's own, in a folder outside of the project, as README and docs/origin.md describe it: through wrangler's
// bundler, on the real runtime.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { node, root, toolEnv } from "../../scripts/lib/places.mjs";
import { freePort } from "./harness/ports.mjs";
import { ask, run, wranglerEnv } from "./harness/project.mjs";
import { waitFor } from "./harness/wait.mjs";

/** The JavaScript that README has for a module of one's own. */
function readmeModule() {
  const [, code] = readFileSync(join(root, "README.md"), "utf8").match(/```js\n([^`]+export default keyward[^`]+)```/);
  return code.replaceAll(/^ {5}/gm, "");
}

/** The project's wrangler.toml for a Worker in another folder, whose origin is a handler. */
function ownConfig() {
  const config = readFileSync(join(root, "wrangler.toml"), "utf8")
    .replace(/^main = .*/m, 'main = "mine.js"')
    .replace('directory = "./build/page"', `directory = ${JSON.stringify(join(root, "build/page"))}`)
    .split(/^(?=\[)/m)
    .filter((section) => !/^\[build\]|^\[\[services\]\]/.test(section));
  return config.join("");
}

/** What is told of a scope: whatever a bundler could write in another way. */
const DESCRIPTION = 'Öffnet "alles" \\ \u2028 </script> 😀 \u00ad';

test("a Worker in another folder takes the policy through wrangler's bundler, and its handler is the origin", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "keyward-own-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  const policy = readFileSync(join(root, "keyward.toml"), "utf8")
    .replace(/^origin = .*/m, 'origin = { handler = "app" }')
    .replace('"orders:read" = "Read orders"', `"orders:read" = ${JSON.stringify(DESCRIPTION)}`);
  assert.ok(policy.includes("handler") && policy.includes("😀"));
  writeFileSync(join(folder, "keyward.toml"), policy);
  writeFileSync(join(folder, "mine.js"), readmeModule());
  writeFileSync(
    join(folder, "app.js"),
    'export default { fetch: (request) => Response.json({ scopes: request.headers.get("keyward-scopes") }) };\n',
  );
  writeFileSync(join(folder, "wrangler.toml"), ownConfig());
  const secrets = {
    KEYWARD_SECRET: "a-secret-of-this-test-0123456789abcdef",
    KEYWARD_SETUP_TOKEN: "t0k3n-of-this-test-alone-4711",
  };
  const lines = Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(folder, ".dev.vars"), lines.join(""));
  const build = run(
    process.execPath,
    [join(root, "scripts/build.mjs"), "--policy", "keyward.toml", "--out", "build", "--quick"],
    { cwd: folder, env: toolEnv() },
  );
  assert.equal(await build.ended, 0, build.text());

  const port = await freePort();
  const wrangler = run(
    node(),
    [
      "--no-warnings",
      join(root, "node_modules/wrangler/wrangler-dist/cli.js"),
      "dev",
      "--port",
      String(port),
      "--inspector-port",
      "0",
      "--show-interactive-dev-session=false",
    ],
    { cwd: folder, env: wranglerEnv(folder) },
  );
  t.after(() => wrangler.stop());
  const base = `http://127.0.0.1:${port}`;
  await waitFor("the gate", async () => (await ask(`${base}/readyz`)).ok).catch((error) => {
    throw new Error(wrangler.text(), { cause: error });
  });
  const admin = (method, path, body) =>
    ask(`${base}/api/admin${path}`, {
      method,
      headers: { Authorization: `Setup ${secrets.KEYWARD_SETUP_TOKEN}`, "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
  const made = await admin("POST", "/api-keys", { name: "x", scopes: ["orders:read"] });
  const { plaintextKey } = await made.json();
  const passed = await ask(`${base}/api/orders`, { headers: { Authorization: `Bearer ${plaintextKey}` } });
  assert.deepEqual([passed.status, await passed.json()], [200, { scopes: "orders:read" }]);
  assert.equal((await ask(`${base}/api/orders`)).status, 401);
  const { realms } = await (await admin("GET", "/realms")).json();
  assert.ok(JSON.stringify(realms).includes(JSON.stringify(DESCRIPTION).slice(1, -1)), "to the letter");
});
