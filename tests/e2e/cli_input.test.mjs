// The command `keyward` with bad input: OpenAPI documents that say less than they seem to, options and secrets that are none, and
// addresses of what is no gate.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { run } from "./harness/project.mjs";

/** @type {string} */
let folder;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "keyward-cli-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const SECRET = "kw_live_a_secret_of_somebody";

/** Runs the command in a folder without a gate: its status, and what it said, in which no secret stands. */
async function keyward(/** @type {string[]} */ args, env = {}) {
  const started = run(process.execPath, [join(root, "cli", "keyward.mjs"), ...args], {
    cwd: folder,
    env: { ...process.env, KEYWARD_ADMIN_KEY: SECRET, KEYWARD_POLICY: undefined, KEYWARD_URL: undefined, ...env },
  });
  const code = await started.ended;
  assert.ok(!started.text().includes(SECRET), started.text());
  return { code, said: started.text() };
}

async function refused(/** @type {string[]} */ args, /** @type {RegExp} */ why, env = {}) {
  const { code, said } = await keyward(args, env);
  assert.equal(code, 1, said);
  assert.match(said, why);
  assert.doesNotMatch(said, /\n {4}at /, "no stack trace");
  assert.match(said, /\nerror: .+\n {2}\S/, "how to mend it");
}

const put = (/** @type {string} */ name, /** @type {string} */ text) => writeFileSync(join(folder, name), text);

/** The template's policy with these routes, for all paths. */
const policyWith = (/** @type {string} */ routes) =>
  readFileSync(join(root, "cli", "template", "keyward.toml"), "utf8")
    .replace('paths = ["/api/*"]', 'paths = ["/*"]')
    .replace(/\[realm\.scopes\][\s\S]*/, routes);

describe("an OpenAPI document", () => {
  const document = (/** @type {string} */ paths, more = "") => `openapi: "3.1.0"\n${more}paths:\n${paths}`;
  const imported = async (/** @type {string} */ text) => {
    put("openapi.yaml", text);
    const { code, said } = await keyward(["policy", "import", "openapi.yaml"]);
    assert.equal(code, 0, said);
    return said;
  };

  it("is read with its anchors, merge keys and references, however often they are used: nothing that it closes is open", async () => {
    const many = Array.from({ length: 300 }, (_, at) => `  /p${at}: {get: *read}\n`).join("");
    const text = document(
      `  /a:\n    get:\n      <<: *read\n      summary: Own\n  /b: {$ref: "#/components/pathItems/First", post: *read}\n  /c: {post: {security: [{one: [], two: [b, a]}, {two: [a, b]}]}}\n${many}`,
      'x-read: &read\n  security: [{bearer: [orders:read]}]\ncomponents:\n  pathItems:\n    First: {$ref: "#/components/pathItems/Second%7E1of%20two"}\n    Second/of two: {get: *read}\n',
    );
    const said = await imported(text);
    assert.ok(!said.includes("public"), said);
    assert.match(said, /methods = \["GET"\]\npath = "\/a"\nrequires = \{ scopes = \["orders:read"\] \}/);
    assert.match(said, /methods = \["GET", "POST"\]\npath = "\/b"\nrequires = \{ scopes = \["orders:read"\] \}/);
    assert.match(said, /path = "\/c"\nrequires = \{ scopes = \["a", "b"\] \}/);
    assert.match(said, /path = "\/p299"\nrequires = \{ scopes = \["orders:read"\] \}/);
  });

  it("takes schemes of every kind, security of the whole document, and none of it where an operation says so", async () => {
    const said = await imported(
      document(
        "  /key: {get: {}}\n  /open: {get: {security: []}}\n  /tls: {get: {security: [{mtls: []}]}}\n  /oauth: {get: {security: [{oauth: [orders:read]}]}}\n  /openid: {get: {security: [{openid: [orders:read]}]}}\n",
        `security: [{inHeader: []}]\ncomponents: {securitySchemes: {inHeader: {type: apiKey, in: header, name: X-Key}, mtls: {type: mutualTLS}, oauth: {type: oauth2, flows: {}}, openid: {type: openIdConnect, openIdConnectUrl: "https://id.example"}}}\n`,
      ),
    );
    const needs = Object.fromEntries(Array.from(said.matchAll(/path = "(.+)"\nrequires = (.+)/g), ([, ...it]) => it));
    const scopes = '{ scopes = ["orders:read"] }';
    assert.deepEqual(needs, {
      "/key": '"key"',
      "/oauth": scopes,
      "/open": '"public"',
      "/openid": scopes,
      "/tls": '"key"',
    });
  });

  it("is refused where it leaves a doubt about what it asks for: what, where and how to mend it", async () => {
    const get = (/** @type {string} */ operation) => document(`  /a: {get: ${operation}}\n`);
    for (const [text, why] of /** @type {[string, RegExp][]} */ ([
      [get("{security: [{bearer: }]}"), /GET \/a: its security has no list of scopes for "bearer"/],
      [get("{security: [{bearer: orders:read}]}"), /GET \/a: its security has no list of scopes for "bearer"/],
      [get("{security: [{bearer: [1]}]}"), /GET \/a: its security has no list of scopes for "bearer"/],
      [get("{security: [bearer]}"), /GET \/a: its security has "bearer", which names no scheme/],
      [get("{security: [null]}"), /GET \/a: its security has null, which names no scheme/],
      [get("{security: {bearer: []}}"), /GET \/a: security is not a list/],
      [get("{security: }"), /GET \/a: security is not a list/],
      [document("  /a: {get: {}}\n", "security:\n"), /GET \/a: security is not a list/],
      [get(""), /GET \/a is no operation/],
      [document("  /a: [get]\n"), /\/a is no path item/],
      [document("  /a: {trace: {}, get: {}}\n"), /\/a has an operation TRACE, which no gate lets through/],
      [document("  /files/*: {get: {}}\n"), /GET \/files\/\*: the path "\/files\/\*" has a \*/],
      [document("  /a: {}\n"), /has no operations/],
      [document('  /a: {$ref: "#/paths/~1a"}\n'), /\/a points to itself/],
      [document('  /a: {$ref: "#/%zz"}\n'), /\/a points to #\/%zz, which is not in this document/],
      [document("  /a: {get: {}}\n", "servers: {url: /v1}\n"), /GET \/a: servers is not a list/],
      [document("  /a: {get: {}}\n", "servers: [/v1]\n"), /GET \/a: servers is not a list/],
    ])) {
      put("openapi.yaml", text);
      await refused(["policy", "import", "openapi.yaml"], why);
    }
    put("openapi.yaml", "%PDF-1.4\n\u001b[31mred");
    const { code, said } = await keyward(["policy", "import", "openapi.yaml"]);
    assert.equal(code, 1);
    assert.match(said, /neither YAML nor JSON/);
    assert.ok(!said.includes("\u001b"), "nothing of the file goes to the terminal");
  });
});

it("a document and the policy that is made of it agree, also where a parameter and a word stand in one place", async () => {
  const security = ["[]", "[{k: []}]", "[{k: [a]}]", "[{k: [a, b]}, {}]"];
  const paths = ["/1", "/{id}", "/{id}.json", "/a/{x}", "/{y}/1"];
  put(
    "openapi.yaml",
    `openapi: 3.0.3\npaths:\n${paths.map((path, at) => `  "${path}": {get: {security: ${security[at % 4]}}, post: {security: ${security[(at + 1) % 4]}}}\n`).join("")}`,
  );
  const { said } = await keyward(["policy", "import", "openapi.yaml"]);
  put("made.toml", policyWith(said));
  const compared = await keyward(["policy", "import", "openapi.yaml", "--check", "--policy", "made.toml"]);
  assert.match(compared.said, /agree about 10 operations/);
});

it("a document of two thousand operations is compared with its policy", async () => {
  const paths = Array.from(
    { length: 1_000 },
    (_, at) => `  "/p${at}/{id}": {get: {security: [{k: [a]}]}, post: {security: [{k: [b]}]}}\n`,
  );
  put("openapi.yaml", `openapi: 3.0.3\npaths:\n${paths.join("")}`);
  const { said } = await keyward(["policy", "import", "openapi.yaml"]);
  put("made.toml", policyWith(said));
  const compared = await keyward(["policy", "import", "openapi.yaml", "--check", "--policy", "made.toml"]);
  assert.match(compared.said, /agree about 2000 operations/);
});

describe("an option or a secret that is none", () => {
  it("is refused before anything is sent", async () => {
    const at = ["--url", "https://gate.invalid"];
    const create = ["keys", "create", "--name", "x", ...at, "--expires"];
    for (const expires of ["5", "2027-1-31", "2027-02-31", "2027-13-01", "2027-02-28T10:00", "tomorrow"])
      await refused([...create, expires], /--expires .+ is not a time/);
    for (const days of ["0", "1001", "99999999999"])
      await refused(["keys", "usage", "key_a", "--days", days, ...at], /--days \d+ is too (few|many)/);
    // A key in place of its id would stand in the URL, and then in logs.
    for (const id of [SECRET, "..", ""]) {
      await refused(["keys", "revoke", id, ...at], /not the id of a key/);
      await refused(["keys", "rotate", id, ...at], /not the id of a key/);
      await refused(["keys", "usage", id, ...at], /not the id of a key/);
    }
    await refused(["keys", "list", ...at], /a character that none has/, { KEYWARD_ADMIN_KEY: `${SECRET}\nx` });
    await refused(["keys", "list", ...at], /a character that none has/, { KEYWARD_ADMIN_KEY: `${SECRET}…` });
    await refused(["backup", "new", ...at], /a character that none has/, { KEYWARD_SESSION_TOKEN: `${SECRET}\nx` });
  });

  it("is not taken for another where a variable is empty or names a folder, or where a file is none", async () => {
    put("keyward.toml", readFileSync(join(root, "cli", "template", "keyward.toml"), "utf8"));
    const { code, said } = await keyward(["check"], { KEYWARD_POLICY: "" });
    assert.equal(code, 0, said);
    await refused(["check", "."], /\. is a folder, and no policy/);
    await refused(["check", "keyward.toml", "other.toml"], /one policy is checked at a time/);
    await refused(["restore", "."], /the file \. is not there/);
    await refused(["policy", "explain", "G ET", "/a"], /"G ET" is not a method/);
    for (const path of ["a", "/a b", "/a#b", "/ä"]) await refused(["policy", "explain", "GET", path], /is not a path/);
    for (const host of ["https://a.example", "a/b", "a b", ""])
      await refused(["policy", "explain", "GET", "/a", "--host", host], /is not a host/);
    const both = ["--scopes", "orders:write , orders:read"];
    assert.match((await keyward(["policy", "explain", "GET", "/api/orders", ...both])).said, /It would pass/);
    const own = await keyward(["policy", "explain", "GET", "/healthz", "--host", "a.example:8080"]);
    assert.match(own.said, /Keyward itself answers[\s\S]*It would go on/);
    await refused(["backup", join("none", "new")], /new\.part: open failed \(ENOENT\)/, { KEYWARD_SESSION_TOKEN: "x" });
    await refused(["doctor", "http://127.0.0.1:1"], /wrangler\.toml is not in /);
    put("wrangler.toml", "name = 'x'\na = [");
    await refused(["doctor", "http://127.0.0.1:1"], /wrangler\.toml:2: Invalid TOML/);
    rmSync(join(folder, "wrangler.toml"));
  });

  it("is said before wrangler deploys it", async () => {
    // A folder with the package, as npm makes it.
    const installed = join(folder, "node_modules", "keyward");
    mkdirSync(installed, { recursive: true });
    writeFileSync(join(installed, "package.json"), readFileSync(join(root, "package.json")));
    await refused(["deploy", "--dry-run"], /wrangler\.toml is not in /);
    put("wrangler.toml", readFileSync(join(root, "cli", "template", "wrangler.toml"), "utf8"));
    put("short.env", "KEYWARD_SECRET=short\n");
    for (const args of [["--secrets-file", "short.env"], ["--secrets-file=short.env"]])
      await refused(["deploy", "--dry-run", ...args], /KEYWARD_SECRET in short\.env is not fit to be one/);
  });
});

describe("what is no gate", () => {
  it("is told from one, whatever it answers, and no backup is made of it", async (t) => {
    let next = { status: 200, type: "application/json", text: "" };
    const server = createServer((_, response) => {
      response.writeHead(next.status, { "Content-Type": next.type }).end(next.text);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    const at = ["--url", `http://127.0.0.1:${port}`];
    const json = "application/json";
    for (const [status, type, text] of /** @type {[number, string, string][]} */ ([
      [200, json, "{}"],
      [200, json, "null"],
      [200, json, '{"apiKeys'],
      [200, "text/html", "<p>Welcome"],
      [404, json, "[1]"],
      [401, json, '{"code":401,"detail":{}}'],
      [500, json, '{"code":"X","detail":"y","errors":5}'],
    ])) {
      next = { status, type, text };
      for (const args of [
        ["keys", "list"],
        ["keys", "create", "--name", "x"],
        ["keys", "usage", "key_a"],
      ])
        await refused([...args, ...at], /answers \d+, and not as a gate does/);
      await refused(["backup", "new", ...at], /answers \d+, and not as a gate does/, { KEYWARD_SESSION_TOKEN: "x" });
      assert.ok(!existsSync(join(folder, "new")));
    }
    const esc = "\u001b";
    next = { status: 400, type: json, text: JSON.stringify({ code: `A${esc}[31m`, detail: esc, errors: [null] }) };
    const { code, said } = await keyward(["keys", "list", ...at]);
    assert.equal(code, 1);
    assert.ok(!said.includes(esc), "nothing goes to the terminal that does something there");
  });
});
