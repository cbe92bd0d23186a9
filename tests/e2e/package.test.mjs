// The npm package, as somebody uses it who has no Rust: installed from its tarball into an empty folder, with its own commands, on the
// real runtime.

import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, join, relative } from "node:path";
import { after, before, describe, it } from "node:test";

import { inPath, root } from "../../scripts/lib/places.mjs";
import { freePort } from "./harness/ports.mjs";
import { ask, run, statusOf } from "./harness/project.mjs";
import { waitFor } from "./harness/wait.mjs";

/** PATH without Rust. */
const PATH = String(process.env.PATH)
  .split(delimiter)
  .filter((folder) => !inPath("cargo")?.startsWith(folder) && !folder.includes("node_modules"))
  .join(delimiter);

/** @type {string} */
let folder;
/** @type {string} */
let tarball;

/** The environment of a newcomer; Workers of the same name that run elsewhere at the same time are strangers. */
const environment = (at, more = {}) => ({
  ...process.env,
  PATH,
  WRANGLER_REGISTRY_PATH: join(at, ".wrangler", "registry"),
  WRANGLER_SEND_METRICS: "false",
  NODE_EXTRA_CA_CERTS: undefined,
  KEYWARD_ADMIN_KEY: undefined,
  KEYWARD_POLICY: undefined,
  KEYWARD_URL: undefined,
  NODE_OPTIONS: undefined,
  ...more,
});

/** Runs a command to its end: its status, and what it said. */
async function command(program, args, { cwd = folder, env = {} } = {}) {
  const started = run(program, args, { cwd, env: environment(cwd, env) });
  const code = await started.ended;
  return { code, said: started.text() };
}

const keyward = (args, options) => command("npx", ["--no-install", "keyward", ...args], options);

/** The same, which must not fail: what it said. */
async function must(args, options) {
  const { code, said } = await keyward(args, options);
  assert.equal(code, 0, said);
  return said;
}

/** The same, which must fail, and name what is wrong and how to mend it. */
async function refused(args, why, hint, options) {
  const { code, said } = await keyward(args, options);
  assert.equal(code, 1, said);
  assert.match(said, why);
  assert.match(said, hint);
  assert.doesNotMatch(said, /\n {4}at /, "no stack trace");
}

/** `keyward dev` in a folder, once it is ready. */
async function dev(t, cwd, ...args) {
  const port = await freePort();
  const started = run("npx", ["--no-install", "keyward", "dev", "--port", String(port), ...args], {
    cwd,
    env: environment(cwd),
    detached: true,
  });
  t.after(() => started.stop("SIGINT"));
  const isReady = () => /\n {2}Its policy .+\n/.test(started.text());
  const ready = new Promise((resolve) => started.child.stdout.on("data", () => isReady() && resolve(undefined)));
  await Promise.race([ready, started.ended]);
  assert.ok(isReady(), started.text());
  return { url: `http://127.0.0.1:${port}`, text: started.text };
}

/** What a printed line gets. A machine that has just begun may be busy: then the gate says 503, and to come back. */
async function answered(line) {
  let status;
  await waitFor("an answer", async () => {
    status = await statusOf(line);
    return status !== "503";
  });
  return status;
}

const edit = (name, from, to, at = folder) => {
  const file = join(at, name);
  const text = readFileSync(file, "utf8");
  assert.ok(text.includes(from), `${name} has ${from}`);
  writeFileSync(file, text.replace(from, to));
};

after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyward-package-"));
  const places = join(folder, "tarball");
  mkdirSync(places);
  // What is built here is what `prepack` builds.
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", places];
  const packed = await command("npm", args, { cwd: root });
  assert.equal(packed.code, 0, packed.said);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  tarball = join(places, `keyward-${version}.tgz`);
  assert.match(packed.said, new RegExp(`"filename": "keyward-${version}.tgz"`));
  const installed = await command("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", tarball]);
  assert.equal(installed.code, 0, installed.said);
  // The version that this project has, whatever else npm would find.
  symlinkSync(join(root, "node_modules", "hono"), join(folder, "node_modules", "hono"));
  const rust = await command("sh", ["-c", "command -v cargo rustc"]);
  assert.deepEqual(rust, { code: 127, said: "" }, "there is no Rust");
});

describe("a folder with nothing but the package", { concurrency: false }, () => {
  it("gets from init all that a gate needs, and a second init changes nothing", async () => {
    const said = await must(["init"]);
    const made = ["keyward.toml", "worker.js", "wrangler.toml", "package.json", ".gitignore", ".dev.vars"];
    for (const name of made) assert.ok(said.includes(`  ${name}`), said);
    const texts = () => made.map((name) => readFileSync(join(folder, name), "utf8"));
    const first = texts();
    const again = await must(["init"]);
    assert.equal(again.match(/there already/g)?.length, made.length, again);
    assert.deepEqual(texts(), first);
    assert.match(await must(["check"]), /keyward\.toml is in order/);
    // A .gitignore that is there gets what it lacks: secrets must not be committed.
    const ignored = join(folder, ".gitignore");
    writeFileSync(ignored, "node_modules\n# mine");
    assert.match(await must(["init"]), /\.gitignore +completed/);
    assert.equal(readFileSync(ignored, "utf8"), "node_modules\n# mine\n.wrangler/\n.keyward/\n.dev.vars\n");
  });

  it("runs the gate in front of the demo with dev, whose lines do what they say; a change of the policy holds, a mistake is told and changes nothing", async (t) => {
    const began = Date.now();
    const { url, text } = await dev(t, folder);
    const requests = Array.from(text().matchAll(/^ {2}(\d{3}) {2}(.+)$/gm), ([, status, line]) => ({ status, line }));
    assert.deepEqual(
      requests.map(({ status }) => status),
      ["200", "401", "403", "429"],
    );
    writeFileSync(join(folder, "other.toml"), readFileSync(join(folder, "keyward.toml"), "utf8"));
    const second = ["dev", "--port", String(await freePort()), "--policy", "other.toml"];
    await refused(second, /keyward dev runs already in this folder \(process \d+\): http:\/\/127/, /another folder/);
    for (const { status, line } of requests) {
      assert.equal(await answered(line), status, line);
      if (status === "200")
        t.diagnostic(`the first 200 came ${((Date.now() - began) / 1_000).toFixed(1)} s after npx keyward dev`);
    }
    assert.equal((await ask(`${url}/admin/`)).status, 200, "the page");

    const at = ["--url", url];
    // Keys, as the set-up token may make them.
    const created = await must([
      "keys",
      "create",
      "--name",
      "Nightly",
      "--scopes",
      "orders:read",
      "--per-minute",
      "60",
      ...at,
    ]);
    const [key] = created.match(/kw_live_\w+/) ?? [];
    const [id] = created.match(/key_\w+/) ?? [];
    const status = async (shown) =>
      (await ask(`${url}/api/orders`, { headers: { Authorization: `Bearer ${shown}` } })).status;
    assert.equal(await status(key), 200);
    // Without an address it is the one that runs in this folder.
    const [listed] = JSON.parse(await must(["keys", "list", "--query", "Nightly", "--json"]));
    assert.deepEqual([listed.id, listed.rateLimit.perMinute], [id, 60]);
    assert.match(await must(["keys", "list", "--status", "ACTIVE", ...at]), new RegExp(`${id} .*Nightly`));
    const rotated = await must(["keys", "rotate", id, "--grace-seconds", "600", ...at]);
    const [next] = rotated.match(/kw_live_\w+/) ?? [];
    assert.match(rotated, new RegExp(`${id}, passes until `));
    assert.deepEqual([await status(key), await status(next)], [200, 200]);
    assert.match(await must(["keys", "usage", id, ...at]), /^day {2,}accepted +refused\n\d{4}-\d\d-\d\d /);
    assert.match(await must(["keys", "revoke", id, ...at]), /refused everywhere by \d{4}-/);
    await waitFor("the revocation", async () => (await status(key)) === 401);
    assert.equal(await status(next), 200);

    // A key without rights, a wrong one, and nobody.
    await refused(["keys", "list", ...at], /403 FORBIDDEN/, /admin:read/, {
      env: { KEYWARD_ADMIN_KEY: next },
    });
    const wrong = { env: { KEYWARD_ADMIN_KEY: "kw_live_wrong" } };
    await refused(["keys", "list", ...at], /401 /, /KEYWARD_ADMIN_KEY is not one of this gate/, wrong);
    await refused(["keys", "create", ...at], /a key needs a name/, /--name/);
    await refused(
      ["keys", "create", "--name", "x", "--scopes", "nothing:here", ...at],
      /422|400/,
      /scopes\[0\]: .*nothing:here/,
    );

    const healthy = await must(["doctor", url]);
    assert.equal(healthy.match(/^ {2}ok /gm)?.length, 4, healthy);
    assert.match(healthy, /look {3}the origin of realm default is the demo[\s\S]*Nothing is wrong/);

    edit("keyward.toml", 'path = "/api/public/*"', 'path = "/api/open/*"');
    await waitFor("the change", async () => (await ask(`${url}/api/open/x`)).status === 200);
    edit("keyward.toml", 'requires = "public"', 'requires = "publik"');
    await waitFor("the mistake", async () => text().includes("keyward.toml:") && text().includes("hint: write"));
    assert.match(text(), /The gate goes on with the policy as it was/);
    assert.equal((await ask(`${url}/api/open/x`)).status, 200);
    edit("keyward.toml", 'requires = "publik"', 'requires = "public"');
    edit("keyward.toml", 'path = "/api/open/*"', 'path = "/api/public/*"');
  });

  it("says with policy explain what the gate decides", async () => {
    const explain = (...args) => must(["policy", "explain", ...args]);
    assert.match(await explain("GET", "/api/orders"), /401 MISSING_AUTHORIZATION/);
    assert.match(
      await explain("post", "/api/orders", "--scopes", "orders:read"),
      /no {2}scopes .*orders:write[\s\S]*403 INSUFFICIENT_SCOPE/,
    );
    assert.match(await explain("GET", "/api/orders/5", "--scopes", "orders:write"), /It would pass/);
    assert.match(await explain("GET", "/api/none"), /404 /);
    const said = JSON.parse(await explain("GET", "/api/public/x", "--json"));
    assert.deepEqual([said.allowed, said.realm, said.route.path], [true, "default", "/api/public/*"]);
    await refused(["policy", "explain", "GET"], /a method and a path/, /usage: /);
    await refused(["policy", "explain", "GET", "orders"], /not a path/, /begins with \//);
  });

  it("makes routes of an OpenAPI document, and tells in both directions where it and the policy differ", async () => {
    const document = (...paths) =>
      `openapi: "3.1.0"\ninfo: {title: Orders, version: "1"}\nservers: [{url: https://api.example.com/v2}]\nsecurity: [{bearer: []}]\npaths:\n${paths.map((path) => `  ${path}\n`).join("")}`;
    const reading = "get: {security: [{bearer: [orders:read]}]}";
    const writing = "post: {security: [{bearer: [orders:write]}]}";
    writeFileSync(
      join(folder, "openapi.yaml"),
      document(
        `/orders: {${reading}, ${writing}}`,
        `"/orders/{order-id}": {${reading}}`,
        "/news: {get: {security: []}}",
        "/me: {get: {}}",
        "/hello: {get: {security: [{bearer: []}, {}]}}",
      ),
    );
    const routes = await must(["policy", "import", "openapi.yaml"]);
    const beginning = readFileSync(join(folder, "keyward.toml"), "utf8")
      .replace('paths = ["/api/*"]', 'paths = ["/v2/*"]')
      .replace(/\[realm\.scopes\][\s\S]*/, "");
    writeFileSync(join(folder, "imported.toml"), beginning + routes);
    const compared = ["policy", "import", "openapi.yaml", "--check", "--policy", "imported.toml"];
    assert.match(await must(compared), /agree about 6 operations/);
    assert.match(await must(["policy", "explain", "GET", "/v2/orders/1", "--policy", "imported.toml"]), /401/);

    edit("imported.toml", 'scopes = ["orders:write"]', 'scopes = ["orders:read"]');
    edit("imported.toml", 'path = "/v2/me"', 'path = "/v2/you"');
    const { code, said } = await keyward(compared);
    assert.equal(code, 1, said);
    assert.match(said, /POST \/v2\/orders requires .*orders:write.*orders:read/);
    assert.match(said, /GET \/v2\/me is in no route of the policy/);
    assert.match(said, /route GET \/v2\/you is no operation of the document/);

    // A host of its own, variables of servers, a path item elsewhere in the document, and an order that a policy cannot have.
    writeFileSync(
      join(folder, "other.yaml"),
      `openapi: "3.0.3"\nservers: [{url: "https://{region}.example.com:{port}/{version}", variables: {region: {default: eu}, port: {default: "443"}, version: {default: v3}}}]\nx-own: {Users: {get: {security: [{key: []}]}}}\npaths:\n  x-note: hello\n  /users/{id}: {get: {security: [{key: []}]}, options: {security: []}}\n  "/users/{id}:cancel": {post: {security: [{key: []}]}}\n  /users/me: {$ref: "#/x-own/Users"}\n  /other: {servers: [{url: /own}], get: {security: []}}\n`,
    );
    const printed = await must(["policy", "import", "other.yaml"]);
    const paths = Array.from(printed.matchAll(/^path = "(.+)"$/gm), ([, path]) => path);
    assert.deepEqual(paths, [
      "/own/other",
      "/v3/users/me",
      "/v3/users/{id}:cancel",
      "/v3/users/{id}",
      "/v3/users/{id}",
    ]);
    const onItsHost = beginning
      .replace('hosts = ["*"]', 'hosts = ["{tenant}.example.com"]')
      .replace('["/v2/*"]', '["/v3/*", "/own/*"]');
    writeFileSync(join(folder, "hosts.toml"), `${onItsHost}\n${printed}`);
    assert.match(
      await must(["policy", "import", "other.yaml", "--check", "--policy", "hosts.toml"]),
      /agree about 5 operations/,
    );
    const explained = ["policy", "explain", "GET", "/v3/users/me", "--policy", "hosts.toml"];
    assert.match(await must(explained), /401 /);
    await refused(
      ["policy", "import", "other.yaml", "--check", "--policy", "hosts.toml", "--realm", "x"],
      /no realm "x"/,
      /default/,
    );

    for (const [text, why, hint] of /** @type {[string, RegExp, RegExp][]} */ ([
      [document("/a: {$ref: other.yaml}"), /points to other\.yaml/, /Bundle/],
      [document('"/a/{b}.{c}": {get: {}}'), /two parameters in one segment/, /by hand/],
      ["a: [", /neither YAML nor JSON/, /bad\.yaml/],
      ['{"swagger": "2.0"}', /not an OpenAPI document of version 3/, /version 2/],
      ["just text", /not an OpenAPI document/, /openapi: "3/],
      ['openapi: "3.0.3"', /has no paths/, /`paths`/],
      [
        document("/a: {get: {security: [{bearer: [x]}, {bearer: [y]}]}}"),
        /GET \/a: its security has alternatives/,
        /one set of scopes/,
      ],
      [document("/a: {get: {security: yes}}"), /GET \/a: security is not a list/, /GET/],
      [document("a: {get: {}}"), /path "a" does not begin with \//, /"a"/],
    ])) {
      writeFileSync(join(folder, "bad.yaml"), text);
      await refused(["policy", "import", "bad.yaml"], why, hint);
    }
    await refused(["policy", "import", "none.yaml"], /none\.yaml cannot be read/, /relative/);
  });

  it("makes a deployment's secrets once, keeps the one before when it rotates, and deploys with all bindings", async () => {
    const secrets = join(folder, ".keyward", "secrets.env");
    assert.match(await must(["secrets"]), /Written to \.keyward\/secrets\.env: KEYWARD_SECRET, KEYWARD_SETUP_TOKEN/);
    const [, first] = readFileSync(secrets, "utf8").match(/^KEYWARD_SECRET=(.+)$/m) ?? [];
    assert.match(await must(["secrets"]), /has them already/);
    await must(["secrets", "--rotate"]);
    assert.match(readFileSync(secrets, "utf8"), new RegExp(`^KEYWARD_SECRET_PREVIOUS=${first}$`, "m"));
    const said = await must(["deploy", "--dry-run", "--outdir", join(folder, "out"), "--secrets-file", secrets]);
    for (const name of ["REGISTRY", "KEY_GATE", "RELAY", "KEYS", "FAILURES", "ADMIN", "KEYWARD_SECRET"])
      assert.match(said, new RegExp(`env\\.${name}\\b`));
    assert.match(said, /note: the origin of realm default is the demo/);
    assert.match(said, /note: no routes/);
    assert.ok(!said.includes(String(first)));
    for (const name of ["staging", "production"]) {
      const there = await must(["deploy", "--dry-run", "--outdir", join(folder, "out"), "--env", name]);
      assert.match(there, /env\.KEYS\b[\s\S]*env\.ADMIN\b/);
    }
    edit("keyward.toml", "origin = {", "orgin = {");
    await refused(["deploy", "--dry-run"], /has no field "orgin"/, /hint: /);
    edit("keyward.toml", "orgin = {", "origin = {");
    edit("wrangler.toml", '[[ratelimits]]\nname = "FAILURES"', '[[ratelimits]]\nname = "OTHER"');
    await refused(["deploy", "--dry-run"], /\[\[ratelimits\]\] with name = "FAILURES" is missing/, /whole gate/);
    edit("wrangler.toml", '[[ratelimits]]\nname = "OTHER"', '[[ratelimits]]\nname = "FAILURES"');
  });

  it("says of what it cannot do what is wrong and how to mend it", async () => {
    await refused(["publish"], /no command "publish"/, /keyward init/);
    await refused(["check", "none.toml"], /none\.toml is not there/, /relative/);
    await refused(["check", "--fast"], /--fast/, /usage: keyward check/);
    await refused(["dev", "--port", "x"], /--port x is not a port/, /1 to 65535/);
    await refused(["keys", "list", "--url", "http://gate.example"], /without TLS/, /https:/);
    const nobody = ["keys", "list", "--url", "https://gate.example"];
    await refused(nobody, /nobody is named who asks/, /KEYWARD_ADMIN_KEY/);
    const someone = { env: { KEYWARD_ADMIN_KEY: "kw_live_x" } };
    await refused(["keys", "list", "--url", "https://gate.invalid"], /cannot be asked: /, /network/, someone);
    const port = await freePort();
    await refused(["keys", "list", "--url", `http://127.0.0.1:${port}`], /ECONNREFUSED/, /npx keyward dev/);
    const empty = mkdtempSync(join(folder, "empty-"));
    // As npx runs it from a tarball: no registry has it.
    const elsewhere = mkdtempSync(join(folder, "npx-"));
    const cli = join(folder, "node_modules", "keyward", "cli", "keyward.mjs");
    assert.equal((await command("node", [cli, "init"], { cwd: elsewhere })).code, 0);
    const { devDependencies } = JSON.parse(readFileSync(join(elsewhere, "package.json"), "utf8"));
    assert.equal(devDependencies.keyward, `file:../${relative(folder, tarball)}`);
    const own = (args) =>
      command("node", [join(folder, "node_modules", "keyward", "cli", "keyward.mjs"), ...args], { cwd: empty });
    assert.match((await own(["check"])).said, /keyward\.toml is not there\n {2}npx keyward init writes one/);
    writeFileSync(join(empty, "package.json"), "{");
    assert.match((await own(["init"])).said, /package\.json is not JSON: /);
    writeFileSync(join(empty, "package.json"), "null");
    assert.match((await own(["init"])).said, /package\.json is not an object/);
    writeFileSync(join(empty, "package.json"), "null");
    assert.match((await own(["init"])).said, /package\.json is not an object/);
  });

  it("finds with doctor what is wrong with a gate, and how to mend it", async (t) => {
    // What is no gate, and lets everything in.
    const server = createServer((request, response) => {
      const bodies = {
        "/healthz": { status: "ok", version: "0.0.1" },
        "/readyz": { parts: { kv: "cannot be reached", registry: "ok" }, version: "0.0.1" },
      };
      response.setHeader("Date", new Date(Date.now() - 60_000).toUTCString());
      response.end(JSON.stringify(bodies[String(request.url)] ?? {}));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    const url = `http://127.0.0.1:${port}`;
    const policy = readFileSync(join(folder, "keyward.toml"), "utf8");
    writeFileSync(
      join(folder, "open.toml"),
      policy.replace('{ handler = "demo" }', `{ url = ${JSON.stringify(url)} }`),
    );
    const { code, said } = await keyward(["doctor", url, "--policy", "open.toml"]);
    assert.equal(code, 1, said);
    for (const wrong of [
      /WRONG {2}its clock shows /,
      /WRONG {2}kv: cannot be reached\n/,
      /WRONG {2}it is of version 0\.0\.1, this command of /,
      /WRONG {2}GET \/api\/orders without a credential answers 200, not as the gate refuses\n/,
      /WRONG {2}the origin of realm default answers past the gate: 200 to GET \/api\/orders\n/,
      /5 of \d+ findings are wrong/,
    ])
      assert.match(said, wrong);
    assert.ok(!/ok {5}the origin/.test(said), said);
    await refused(["doctor", "http://gate.example"], /not asked without TLS/, /https:/);
    await refused(["doctor", url, "--env", "none"], /no \[env\.none\]/, /staging, production/);
    // What answers, and is no gate, gets no token.
    const asked = [];
    const other = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      response.end("{}");
    });
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    t.after(() => other.close());
    const elsewhere = /** @type {import("node:net").AddressInfo} */ (other.address());
    await refused(["doctor", `http://127.0.0.1:${elsewhere.port}`], /not as a gate does/, /address/);
    assert.deepEqual(asked, ["/healthz undefined"]);
    await refused(["doctor"], /the address of one gate/, /usage: /);
    await refused(["doctor", `http://127.0.0.1:${await freePort()}`], /cannot be asked: .*ECONNREFUSED/, /Does it run/);
  });

  it("has types by which a Worker is checked", async () => {
    const worker = [
      'import { Hono } from "hono";',
      'import { KeyGate, keyward } from "keyward";',
      'import demo from "keyward/demo";',
      "export { KeyGate };",
      "const app = new Hono<{ Bindings: { DB: string } }>();",
      "const own = (request: Request, env: { DB: string }) => new Response(env.DB + request.url);",
      "// As the types of a runtime have it, with more than is known here.",
      "interface Runtime { waitUntil(promise: Promise<unknown>): void; passThroughOnException(): void; readonly props: unknown; abort(): void }",
      "const later = async (request: Request, env: { DB: string }, { waitUntil }: Runtime) => new Response();",
      "export default keyward({}, { origin: { app, own, later, demo, object: { fetch: later } } });",
      "// @ts-expect-error: no text is a handler",
      'keyward("{}", { origin: "app" });',
      "// @ts-expect-error: nor is there such an option",
      'keyward("{}", { orgin: own });',
      "",
    ];
    writeFileSync(join(folder, "worker.ts"), worker.join("\n"));
    const strict = [
      "--noEmit",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2023",
      "--lib",
      "es2023,dom",
      "--types",
      "",
    ];
    const checked = await command(join(root, "node_modules", ".bin", "tsc"), [
      ...strict,
      "--ignoreConfig",
      "worker.ts",
    ]);
    assert.deepEqual(checked, { code: 0, said: "" });
  });

  it("does not build for a Worker that imports another version", async () => {
    const elsewhere = mkdtempSync(join(folder, "other-"));
    cpSync(join(folder, "keyward.toml"), join(elsewhere, "keyward.toml"));
    cpSync(
      join(folder, "node_modules", "keyward", "package.json"),
      join(elsewhere, "node_modules", "keyward", "package.json"),
    );
    const installed = join(elsewhere, "node_modules", "keyward", "package.json");
    writeFileSync(installed, readFileSync(installed, "utf8").replace(/"version": "[^"]+"/, '"version": "9.9.9"'));
    const { code, said } = await command(
      "node",
      [join(folder, "node_modules", "keyward", "cli", "keyward.mjs"), "build"],
      { cwd: elsewhere },
    );
    assert.equal(code, 1, said);
    assert.match(said, /imports keyward 9\.9\.9[\s\S]*npm install keyward@/);
  });
});

it("a Hono app in the same Worker is the origin of examples/hono, and sees whose request it is", async (t) => {
  const own = mkdtempSync(join(tmpdir(), "keyward-hono-"));
  t.after(() => rmSync(own, { recursive: true, force: true, maxRetries: 10 }));
  for (const name of ["keyward.toml", "app.js", "worker.js"])
    cpSync(join(root, "examples", "hono", name), join(own, name));
  cpSync(join(folder, "node_modules"), join(own, "node_modules"), { recursive: true });
  await must(["init"], { cwd: own });
  const { url } = await dev(t, own);
  const created = await must(["keys", "create", "--name", "Writer", "--scopes", "notes:write", "--url", url], {
    cwd: own,
  });
  const [key] = created.match(/kw_live_\w+/) ?? [];
  const [id] = created.match(/key_\w+/) ?? [];
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const made = await ask(`${url}/notes`, { method: "POST", headers, body: '{"text":"hello"}' });
  assert.deepEqual([made.status, await made.json()], [201, { text: "hello", writtenBy: id }]);
  const listed = await (await ask(`${url}/notes`, { headers })).json();
  assert.match(listed.tenant, /^[0-9a-f-]{36}$/);
  assert.equal((await ask(`${url}/notes`)).status, 401);
});
