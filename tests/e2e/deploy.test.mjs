// What `wrangler deploy` would upload, without a network: bindings, bundle and secrets.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { parse } from "smol-toml";

import { root, toolEnv } from "../../scripts/lib/places.mjs";

test("wrangler deploy --dry-run has every binding, the whole Worker and the secrets, and not the demo", async (t) => {
  const out = mkdtempSync(join(tmpdir(), "keyward-deploy-"));
  t.after(() => rmSync(out, { recursive: true }));
  const secrets = join(out, "secrets.env");
  writeFileSync(secrets, `KEYWARD_SECRET=${"s".repeat(43)}\nKEYWARD_SETUP_TOKEN=${"t".repeat(32)}\n`, { mode: 0o600 });
  const args = ["wrangler", "deploy", "--dry-run", "--outdir", join(out, "bundle"), "--secrets-file", secrets];
  const { stdout, stderr } = await promisify(execFile)("npx", args, { cwd: root, env: toolEnv() });
  const said = stdout + stderr;
  assert.match(said, /--dry-run: exiting now/);

  const bindings = Array.from(said.matchAll(/^env\.(\w+)(?: \(.*?\))? {2,}(.+?) *$/gm), ([, name, resource]) => [
    name,
    resource,
  ]);
  assert.deepEqual(
    Object.fromEntries(bindings),
    {
      KEYS: "KV Namespace",
      REGISTRY: "Durable Object",
      KEY_GATE: "Durable Object",
      RELAY: "Durable Object",
      FAILURES: "Rate Limit",
      ADMIN: "Assets",
      ORIGIN: "Worker",
      KEYWARD_SECRET: "Environment Variable",
      KEYWARD_SETUP_TOKEN: "Environment Variable",
    },
    said,
  );
  assert.ok(!said.includes("s".repeat(43)), "no secret is shown");
  for (const note of [/note: the origin of realm default is the demo/, /note: no routes/]) assert.match(said, note);

  const files = readdirSync(join(out, "bundle"));
  const wasm = files.filter((name) => name.endsWith(".wasm"));
  assert.equal(wasm.length, 1, files.join());
  assert.ok(
    readFileSync(join(out, "bundle", wasm[0])).equals(readFileSync(join(root, "build", "keyward.wasm"))),
    "the Worker that was built",
  );
  const script = readFileSync(join(out, "bundle", "worker.js"), "utf8");
  assert.ok(script.includes(wasm[0]));
  const exported = script.match(/export \{([^}]*)\}/g).join();
  for (const name of ["KeyGate", "Registry", "Relay", "default"]) assert.match(exported, new RegExp(`\\b${name}\\b`));
  assert.ok(!/DemoOrigin|bodySha256/.test(script), "the demo is not deployed");
});

/** What the top of wrangler.toml has and an environment does not inherit, for the environment `x`. */
function bindingsForX(toml) {
  const sections = toml
    .split(/(?=^\[)/m)
    .filter((section) => /^\[\[(kv_namespaces|durable_objects\.bindings|ratelimits|services)\]\]/.test(section));
  return sections.map((section) => section.replace(/^\[\[/, "[[env.x.")).join("\n");
}

test("an environment that lacks something of the gate is refused by what wrangler runs, and a whole one is not", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "keyward-env-"));
  t.after(() => rmSync(folder, { recursive: true }));
  // The project as it is, with a wrangler.toml of its own.
  for (const name of readdirSync(root))
    if (!["wrangler.toml", ".git", ".wrangler", "scripts"].includes(name))
      symlinkSync(join(root, name), join(folder, name));
  cpSync(join(root, "scripts"), join(folder, "scripts"), { recursive: true });
  const top = readFileSync(join(root, "wrangler.toml"), "utf8");
  const whole = `${top}\n[env.x]\n${bindingsForX(top)}`;
  const deploy = async (toml, args = [], policy = "keyward.toml") => {
    writeFileSync(join(folder, "wrangler.toml"), toml);
    const {
      code = 0,
      stdout,
      stderr,
    } = await promisify(execFile)(
      join(root, "node_modules/.bin/wrangler"),
      ["deploy", "--dry-run", "--outdir", join(folder, "bundle"), ...args],
      { cwd: folder, env: { ...toolEnv(), KEYWARD_QUICK: "1", KEYWARD_POLICY: policy } },
    ).catch((error) => error);
    return { code, said: stdout + stderr };
  };

  const bare = await deploy(`${top}\n[env.x]\n`, ["--env", "x"]);
  assert.notEqual(bare.code, 0, bare.said);
  for (const what of [
    '[[env.x.kv_namespaces]] with binding = "KEYS"',
    '[[env.x.durable_objects.bindings]] with name = "REGISTRY"',
    '"KEY_GATE"',
    '"RELAY"',
    '[[env.x.ratelimits]] with name = "FAILURES"',
    '[[env.x.services]] with binding = "ORIGIN"',
  ]) {
    assert.ok(bare.said.includes(what), `${what}\n${bare.said}`);
  }
  assert.doesNotMatch(bare.said, /exiting now/);

  for (const [what, toml] of [
    [
      'env.x.compatibility_flags lacks "fetch_legacy_url"',
      whole.replace("[env.x]", "[env.x]\ncompatibility_flags = []"),
    ],
    ["env.x.compatibility_date is before", whole.replace("[env.x]", '[env.x]\ncompatibility_date = "2024-01-01"')],
    [
      "[[env.x.migrations]] with Relay in new_sqlite_classes",
      `${whole}\n[[env.x.migrations]]\ntag = "v1"\nnew_sqlite_classes = ["Registry", "KeyGate"]\n`,
    ],
    ["[env.x.assets] with binding", `${whole}\n[env.x.assets]\ndirectory = "./build/page"\nbinding = "ADMIN"\n`],
    [
      "[[env.x.kv_namespaces]] has the id of [[kv_namespaces]]",
      whole.replaceAll('binding = "KEYS"', 'binding = "KEYS"\nid = "0123456789abcdef0123456789abcdef"'),
    ],
    ['wrangler.toml: [[ratelimits]] with name = "FAILURES"', top.replace('name = "FAILURES"', 'name = "OTHER"')],
  ]) {
    const { code, said } = await deploy(toml, toml.includes("[env.x]") ? ["--env", "x"] : []);
    assert.notEqual(code, 0, said);
    assert.ok(said.includes(what), `${what}\n${said}`);
  }
  // With a limit by network in the policy: its limiter, with the same period.
  const limits = ["ANYBODY", "OTHER"].map(
    (name) =>
      `[[realm.route]]\npath = "/api/${name}"\nrequires = "public"\nlimit_by_network = { binding = "${name}" }\n`,
  );
  writeFileSync(join(folder, "open.toml"), [readFileSync(join(root, "keyward.toml"), "utf8"), ...limits].join("\n"));
  const limiter = '[[ratelimits]]\nname = "ANYBODY"\nnamespace_id = "1001"\nsimple = { limit = 9, period = 10 }\n';
  const open = await deploy(`${top}\n${limiter}`, [], "open.toml");
  assert.notEqual(open.code, 0, open.said);
  for (const what of [
    '[[ratelimits]] with name = "ANYBODY" has another period than the policy\'s limit_by_network: 60s',
    '[[ratelimits]] with name = "OTHER", a limit_by_network of the policy, is missing',
    "two [[ratelimits]] have one namespace_id: they would count together",
  ])
    assert.ok(open.said.includes(what), `${what}\n${open.said}`);

  for (const name of ["staging", "production"]) {
    const { code, said } = await deploy(top, ["--env", name]);
    assert.equal(code, 0, said);
    for (const binding of ["KEYS", "REGISTRY", "KEY_GATE", "RELAY", "FAILURES", "ADMIN", "ORIGIN"])
      assert.match(said, new RegExp(`env\\.${binding}\\b`));
  }
  const { code, said } = await deploy(whole, ["--env", "x"]);
  assert.equal(code, 0, said);
  for (const name of ["KEYS", "REGISTRY", "KEY_GATE", "RELAY", "FAILURES", "ADMIN", "ORIGIN"])
    assert.match(said, new RegExp(`env\\.${name}\\b`));
});

test("a policy with a mistake is not deployed, and npm run check says the same of it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "keyward-wrong-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "wrong.toml");
  writeFileSync(file, readFileSync(join(root, "keyward.toml"), "utf8").replace("origin = {", "orgin = {"));
  const policy = relative(root, file);
  const mistake = new RegExp(`error: ${policy}:\\d+: [^]*orgin = \\{[^]*hint: `);
  const before = readFileSync(join(root, "build", "policy.json"), "utf8");
  for (const [program, args] of /** @type {[string, string[]][]} */ ([
    ["node_modules/.bin/wrangler", ["deploy", "--dry-run", "--outdir", join(folder, "bundle")]],
    ["node_modules/.bin/node", ["scripts/check.mjs", file]],
  ])) {
    const { code, stdout, stderr } = await promisify(execFile)(join(root, program), args, {
      cwd: root,
      env: { ...toolEnv(), KEYWARD_POLICY: policy, KEYWARD_QUICK: "1" },
    }).catch((error) => error);
    assert.ok(code > 0, program);
    assert.match(stdout + stderr, mistake);
    assert.doesNotMatch(stdout + stderr, /exiting now|is in order/);
  }
  assert.equal(readFileSync(join(root, "build", "policy.json"), "utf8"), before);
  const printed = async (...args) =>
    (await promisify(execFile)("node_modules/.bin/node", ["scripts/check.mjs", ...args], { cwd: root })).stdout;
  assert.equal(await printed(), "keyward.toml is in order.\n");
  assert.equal(await printed("--schema"), readFileSync(join(root, "keyward.schema.json"), "utf8"));
});

test("the commands that README and CONTRIBUTING name are there", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const document of ["README.md", "CONTRIBUTING.md"]) {
    const named = Array.from(
      readFileSync(join(root, document), "utf8").matchAll(/(?:^|`)npm (?:run )?(\w+)/gm),
      ([, name]) => name,
    ).filter((name) => !["install", "pack"].includes(name));
    assert.ok(named.length > 3, document);
    assert.deepEqual(
      named.filter((name) => !scripts[name]),
      [],
      document,
    );
  }
});

test("the debugger of a gate under development takes a port that the system gives it, so none that another gate is about to take", () => {
  const { dev } = parse(readFileSync(join(root, "wrangler.toml"), "utf8"));
  assert.equal(JSON.stringify(dev), JSON.stringify({ inspector_port: 0 }));
});
