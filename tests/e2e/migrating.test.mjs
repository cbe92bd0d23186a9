// Keys of other products: the script of docs/migrating/ makes a file of an export, the import takes it whole, with the
// policy that the script proposes, and the old key passes.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { run } from "./harness/project.mjs";

const DATA = join(root, "tests", "data", "migrating");
const LINES = { "Content-Type": "application/x-ndjson" };

/** Runs a script of scripts/migrate/: its status, its lines, and what it says. */
async function migrate(script, ...args) {
  const { child, ended } = run(process.execPath, [join("scripts", "migrate", `${script}.mjs`), ...args], { cwd: root });
  const said = { stdout: "", stderr: "" };
  for (const stream of /** @type {const} */ (["stdout", "stderr"]))
    child[stream].setEncoding("utf8").on("data", (text) => {
      said[stream] += text;
    });
  return { status: await ended, ndjson: said.stdout, said: said.stderr };
}

/** What each export becomes: `file` without hashes, `left` and `lost` as they are said, `key` one that passes. */
const EXPORTS = {
  kong: {
    args: [
      "kong/kong.yaml",
      "--scope",
      "order-clerks=orders:read",
      "--scope",
      "readers=orders:read",
      "--dumped-at",
      "2999-01-01T00:00:00Z",
    ],
    key: "iwb6Djkk4HhUlOCmLilDIKh6nZrn90ts",
    perMinute: 3,
    file: [
      {
        last4: "90ts",
        name: "harry",
        scopes: ["orders:read"],
        createdAt: "2023-09-18T01:20:00Z",
        rateLimit: { perMinute: 3 },
        tags: ["checkout"],
        metadata: { consumer: "harry", customId: "42" },
      },
      {
        last4: "EuRi",
        name: "sally, key 1",
        scopes: ["orders:read"],
        expiresAt: "2999-01-11T00:00:00Z",
        rateLimit: { perHour: 100 },
        metadata: { consumer: "sally" },
      },
      {
        last4: "Ui9O",
        name: "sally, key 2",
        scopes: ["orders:read"],
        rateLimit: { perHour: 100 },
        metadata: { consumer: "sally" },
      },
      {
        last4: "iUoO",
        name: "tim",
        scopes: ["orders:read"],
        rateLimit: { perHour: 50 },
        metadata: { consumer: "tim" },
      },
    ],
    says: [
      "Keys in the file: 4",
      "Not carried over: a limit by ip (1): tim",
      "Not carried over: a limit of a year (1): tim",
      "Not carried over: the plugin request-size-limiting (1): tim",
      "Left out: too short to be hard to guess; give its owner a new one (1): sally, key 3",
      "Left out: in a vault; put its text into the file (1): sally, key 4",
      "Not carried over: basicauth_credentials (1): harry",
      "Not carried over: a limit of 30 s (1): sally",
      "Not carried over: what its consumer groups bring (1): sally",
      "Not carried over: its limit is of all its keys together, and becomes one of each key (1): sally",
    ],
    section: 'min_length = 32\nmax_length = 32\nalphabet = "base62"',
  },
  unkey: {
    args: [
      "unkey/keys.jsonl",
      ...["--hashes", join(DATA, "unkey/hashes.jsonl")],
      ...["--scope", "documents.read=orders:read", "--scope", "documents.write=orders:write", "--prefix", "prod_"],
    ],
    key: "prod_3ZfHhVnQbT9mKc2RwXyLpD",
    others: ["prod_8QmWkTz4RvYbJ6NcSfGxHd"],
    perMinute: 3,
    file: [
      {
        prefix: "prod_",
        last4: "yLpD",
        name: "Checkout",
        scopes: ["orders:read"],
        createdAt: "2024-01-01T00:00:00Z",
        rateLimit: { perMinute: 3, perMonth: 10_000 },
        metadata: { plan: "premium", seats: "3", externalId: "user_5678" },
      },
      {
        name: "key_3dHLcNySzJaiDyp2Jek",
        prefix: "prod_8Qm",
        scopes: ["orders:read", "orders:write"],
        createdAt: "2024-01-02T00:00:00Z",
        rateLimit: { total: 500 },
      },
    ],
    says: [
      "Keys in the file: 2",
      "Left out: disabled there (1): key_4eIMdOzTaKbjEzq3Kfl",
      "Left out: Unkey shows neither its text nor its hash; see docs/migrating/unkey.md (1): key_5fJNePaUbLckFar4Lgm",
      "Left out: has expired (1): key_6gKOfQbVcMdlGbs5Mhn",
      "Not carried over: the role editor, but for the permissions that the key lists (1): key_2cGKbMxRyIzhCxo1Idjz8q",
      "Not carried over: the limit exports, which holds only where a request names it (1): key_2cGKbMxRyIzhCxo1Idjz8q",
      "Not carried over: the day of its refill: a month begins on the 1st (1): key_2cGKbMxRyIzhCxo1Idjz8q",
      "Known by their hash alone, so that [realm.imported] has to fit them, too: 1",
    ],
    section: 'prefixes = ["prod_"]\nmin_length = 22\nmax_length = 22\nalphabet = "base62"',
  },
  aws: {
    args: ["aws", "--scope", "Basic=orders:read"],
    key: "kQ3vT9xLw2RbN7mYc5HsJ8fZpA4dGuE6tXiVoKyB",
    file: [
      {
        last4: "oKyB",
        name: "Checkout",
        scopes: ["orders:read"],
        createdAt: "2023-04-01T10:00:00Z",
        rateLimit: { perSecond: 31, perMinute: 650, perMonth: 100_000 },
        metadata: { team: "web", usagePlan: "Basic", customerId: "42", description: "The web shop" },
      },
    ],
    says: [
      "Keys in the file: 1",
      "Left out: disabled there (1): Old (b2c3d4e5f6)",
      "Left out: in no usage plan, so it opens nothing there (1): In no plan (c3d4e5f6a7)",
      "Not carried over: limits of single methods (1): Basic",
    ],
    section: 'min_length = 40\nmax_length = 40\nalphabet = "base62"',
  },
  own_table: {
    args: ["own-table/keys.csv", "--scope", "clerk=orders:write", "--prefix", "sk_live_"],
    key: "sk_live_Vb6MzXc8LkJh5GfDs2Aw",
    others: ["sk_live_ErTyUi9OPq3nVb6MzXc8"],
    perMinute: 3,
    file: [
      {
        prefix: "sk_live_",
        last4: "s2Aw",
        name: "Checkout, web",
        createdAt: "2023-04-01T00:00:00Z",
        scopes: ["orders:read"],
        rateLimit: { perMinute: 3 },
        tags: ["web", "shop"],
        metadata: { customer: "42" },
      },
      {
        prefix: "sk_live_",
        last4: "zXc8",
        name: "Warehouse",
        createdAt: "2024-04-01T00:00:00Z",
        expiresAt: "2999-01-01T00:00:00Z",
        scopes: ["orders:write"],
      },
    ],
    says: ["Keys in the file: 2"],
    section: 'prefixes = ["sk_live_"]\nmin_length = 20\nmax_length = 20\nalphabet = "base62"',
  },
};

for (const [script, { args, key, others = [], perMinute, file, says, section }] of Object.entries(EXPORTS)) {
  it(`an export of ${script} becomes keys that pass as before`, async (t) => {
    const { status, ndjson, said } = await migrate(script, join(DATA, args[0]), ...args.slice(1));
    assert.equal(status, 0, said);
    const lines = ndjson
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ hash: _, ...line }) => line),
      file,
    );
    const [words, policy] = said.split("The policy has to have, in the realm:\n[realm.imported]\n");
    assert.deepEqual(words.trim().split("\n").sort(), says.sort());
    assert.equal(policy.trim(), section);
    for (const text of [ndjson, said]) assert.ok(![key, ...others].some((secret) => text.includes(secret)), "no key");

    const limits =
      "[realm.limits]\ndefault = { per_minute = 600 }\nmaximum = { per_second = 1_000, per_minute = 100_000, per_hour = 1_000_000, per_day = 10_000_000, per_month = 100_000_000, total = 1_000_000 }\n";
    const edit = (/** @type {string} */ text) =>
      `${text.replace(/\[realm\.limits\]\n[^[]*/, `${limits}\n`)}\n[realm.imported]\n${policy}`;
    const gate = await startGate({ isolates: 1, document: await documentOf("default", { edit }) });
    t.after(() => gate.stop());
    const owner = await gate.owner();
    const use = (secret) => gate.send({ target: "/api/orders", headers: { Authorization: `Bearer ${secret}` } });
    assert.equal((await use(key)).status, 401);
    const all = { imported: file.length, repeated: 0, wrong: 0, errors: [] };
    assert.deepEqual(await owner.must("POST", "/api-keys/import?dryRun=true", ndjson, LINES), all);
    assert.deepEqual(await owner.must("POST", "/api-keys/import", ndjson, LINES), all);
    for (const secret of [key, ...others]) assert.equal((await use(secret)).status, 200);
    for (let sent = 1; sent < perMinute; sent++) assert.equal((await use(key)).status, 200);
    if (perMinute) assert.equal((await use(key)).status, 429);
    assert.deepEqual(await owner.must("POST", "/api-keys/import", ndjson, LINES), {
      ...all,
      imported: 0,
      repeated: file.length,
    });
  });
}

describe("an export says the same", () => {
  const folder = mkdtempSync(join(tmpdir(), "keyward-migrating-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [script, { args }] of Object.entries(EXPORTS))
    it(`${script}: with a byte order mark and the line ends of Windows`, async () => {
      const copy = join(folder, args[0]);
      cpSync(join(DATA, args[0]), copy, { recursive: true });
      const isFolder = statSync(copy).isDirectory();
      const names = isFolder ? /** @type {string[]} */ (readdirSync(copy, { recursive: true })) : [""];
      const files = names.map((name) => join(copy, name)).filter((file) => statSync(file).isFile());
      for (const file of files) writeFileSync(file, `\ufeff${readFileSync(file, "utf8").replaceAll("\n", "\r\n")}`);
      const [of, again] = [
        await migrate(script, join(DATA, args[0]), ...args.slice(1)),
        await migrate(script, copy, ...args.slice(1)),
      ];
      assert.deepEqual(again, of);
      assert.equal(of.status, 0);
    });

  it("kong: a key whose ttl is 0 never ends", async () => {
    const file = join(folder, "k.yaml");
    const credential = { key: "iwb6Djkk4HhUlOCmLilDIKh6nZrn90ts", ttl: 0, created_at: 0 };
    writeFileSync(file, JSON.stringify({ consumers: [{ username: "a", keyauth_credentials: [credential] }] }));
    const { ndjson, said } = await migrate("kong", file);
    const { name, expiresAt } = JSON.parse(ndjson);
    assert.deepEqual([name, expiresAt], ["a", undefined], said);
  });
});

describe("an export that cannot be carried over writes nothing, says why, and shows no key", () => {
  const folder = mkdtempSync(join(tmpdir(), "keyward-migrating-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const KEY = "SECRETsecretSECRETsecretSECRET12";

  /** Fails unless a script refuses these files. */
  async function refuses(script, files, args, message) {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      const isText = typeof content === "string" || Buffer.isBuffer(content);
      writeFileSync(join(folder, name), isText ? content : JSON.stringify(content));
    }
    const { status, ndjson, said } = await migrate(script, ...args.map((arg) => arg.replace("@", `${folder}/`)));
    assert.deepEqual([status, ndjson], [1, ""], said);
    assert.match(said, message);
    assert.ok(!said.includes(KEY.slice(0, 6)), said);
  }
  const consumers = (credential, more = {}) => ({
    consumers: [{ username: "a", keyauth_credentials: [credential], ...more }],
  });
  const page = (data, hasMore = false) => ({ data, pagination: { hasMore } });
  const plan = { id: "p", name: "P" };
  const aws = (key, plans = [plan]) => ({
    "aws/api-keys.json": { items: [{ id: "k", name: "n", enabled: true, value: KEY, ...key }] },
    "aws/usage-plans.json": { items: plans },
    "aws/usage-plan-keys/p.json": { items: [{ id: "k" }] },
    "aws/usage-plan-keys/q.json": { items: [{ id: "k" }] },
  });

  for (const [what, script, files, args, message] of /** @type {const} */ ([
    ["no file", "kong", {}, [], /^\nerror: one file or folder has to be named\n {2}node scripts\/migrate\/kong\.mjs/],
    ["a file that is not there", "kong", {}, ["@none.yaml"], /^\nerror: .*none\.yaml cannot be read \(ENOENT\)/],
    ["an option that there is not", "aws", {}, ["@aws", "--all"], /^\nerror: Unknown option '--all'/],
    [
      "a --scope of nothing",
      "kong",
      {},
      ["@k.yaml", "--scope", "x"],
      /^\nerror: --scope x does not say what becomes what/,
    ],
    [
      "YAML that is broken",
      "kong",
      { "k.yaml": `consumers: [{key: "${KEY}` },
      ["@k.yaml"],
      /^\nerror: .*k\.yaml cannot be read: line 1, column \d+\n {2}Is it the whole/,
    ],
    [
      "YAML that refers to nothing",
      "kong",
      { "k.yaml": `consumers: *${KEY}` },
      ["@k.yaml"],
      /^\nerror: .*k\.yaml cannot be read\n {2}Is it the whole/,
    ],
    [
      "JSON that is broken",
      "aws",
      { "aws/usage-plans.json": `{ "items": ${KEY} }` },
      ["@aws"],
      /^\nerror: .*usage-plans\.json cannot be read\n {2}Is it the whole/,
    ],
    [
      "YAML of something else",
      "kong",
      { "k.yaml": "services: []" },
      ["@k.yaml"],
      /^\nerror: "consumers" in .*k\.yaml is not a list/,
    ],
    ["an empty file", "kong", { "k.yaml": "" }, ["@k.yaml"], /^\nerror: .*k\.yaml is empty\n {2}Is it the whole/],
    ["an empty table", "own_table", { "t.csv": "\r\n" }, ["@t.csv"], /^\nerror: .*t\.csv is empty/],
    ["no answers", "unkey", { "u.jsonl": "\n" }, ["@u.jsonl"], /^\nerror: .*u\.jsonl is empty/],
    [
      "a file of PowerShell's, in UTF-16",
      "unkey",
      { "u.jsonl": Buffer.from(`\ufeff{"data":[{"plaintext":"${KEY}"}]}`, "utf16le") },
      ["@u.jsonl"],
      /^\nerror: .*u\.jsonl is not UTF-8\n {2}Export it as UTF-8\. PowerShell/,
    ],
    [
      "a consumer that is none",
      "kong",
      { "k.yaml": { consumers: [consumers({ key: KEY }).consumers[0], null] } },
      ["@k.yaml"],
      /^\nerror: "consumers" in .*k\.yaml has an entry that is no object: number 2/,
    ],
    [
      "windows without their limits",
      "kong",
      {
        "k.yaml": consumers(
          { key: KEY },
          { plugins: [{ name: "rate-limiting-advanced", config: { window_size: [60] } }] },
        ),
      },
      ["@k.yaml"],
      /^\nerror: "limit" of a is not a list/,
    ],
    ["a key that is none", "unkey", { "u.jsonl": page([null]) }, ["@u.jsonl"], /^\nerror: "data" in .* no object/],
    [
      "a page of keys that is not the last",
      "aws",
      { ...aws({}), "aws/api-keys.json": { items: [], NextToken: "x" } },
      ["@aws"],
      /^\nerror: .*api-keys\.json is not all: .*\n {2}Export without --max-items/,
    ],
    [
      "a column twice",
      "own_table",
      { "t.csv": `key,name,key\n${KEY},n,${KEY}x` },
      ["@t.csv"],
      /^\nerror: .*t\.csv has the column key twice/,
    ],
    [
      "groups without a scope",
      "kong",
      { "k.yaml": consumers({ key: KEY }, { acls: [{ group: "g" }] }) },
      ["@k.yaml"],
      /^\nerror: nothing says which scopes come of g\n {2}--scope THERE=HERE/,
    ],
    [
      "a ttl of no time",
      "kong",
      { "k.yaml": consumers({ key: KEY, ttl: 9 }) },
      ["@k.yaml"],
      /^\nerror: a, key 1 has 9 seconds left.*\n {2}--dumped-at /,
    ],
    [
      "a key that is a number",
      "kong",
      { "k.yaml": consumers({ key: 12_345_678 }) },
      ["@k.yaml"],
      /^\nerror: a, key 1 has no text\n {2}Write it in quotation marks/,
    ],
    [
      "the same key twice",
      "kong",
      {
        "k.yaml": {
          consumers: [consumers({ key: KEY }).consumers[0], { username: "b", keyauth_credentials: [{ key: KEY }] }],
        },
      },
      ["@k.yaml"],
      /^\nerror: b, key 1 is the same key as a, key 1/,
    ],
    [
      "a page that is not the last",
      "unkey",
      { "u.jsonl": page([], true) },
      ["@u.jsonl"],
      /^\nerror: .*u\.jsonl is not all/,
    ],
    [
      "an answer that is an error",
      "unkey",
      { "u.jsonl": { error: {} } },
      ["@u.jsonl"],
      /^\nerror: "data" in .*u\.jsonl is not a list/,
    ],
    [
      "values that were not asked for",
      "aws",
      aws({ value: undefined }),
      ["@aws"],
      /^\nerror: n \(k\) has no value\n {2}Export with --include-values/,
    ],
    [
      "a key in two plans",
      "aws",
      aws({}, [plan, { id: "q", name: "Q" }]),
      ["@aws"],
      /^\nerror: n \(k\) is in several plans: P, Q/,
    ],
    [
      "a plan whose keys are missing",
      "aws",
      aws({}, [{ id: "r", name: "R" }]),
      ["@aws"],
      /^\nerror: .*usage-plan-keys\/r\.json is not there: .*\n {2}aws apigateway get-usage-plan-keys --usage-plan-id r > /,
    ],
    [
      "a column that there is not",
      "own_table",
      { "t.csv": `key,name,plan\n${KEY},n,p` },
      ["@t.csv"],
      /^\nerror: .*t\.csv has a column plan\n {2}Columns are key, hash, name/,
    ],
    [
      "neither key nor hash",
      "own_table",
      { "t.csv": "name\nn" },
      ["@t.csv"],
      /^\nerror: .*t\.csv needs one of the columns key and hash/,
    ],
    [
      "a row that is too short",
      "own_table",
      { "t.csv": `key,name\n${KEY}` },
      ["@t.csv"],
      /^\nerror: .*t\.csv cannot be read: line 2\n/,
    ],
    [
      "a key without a name",
      "own_table",
      { "t.csv": `key,name\n${KEY},` },
      ["@t.csv"],
      /^\nerror: row 1 of .*t\.csv has no name/,
    ],
    [
      "a limit that is none",
      "own_table",
      { "t.csv": `key,name,perDay\n${KEY},n,1e3` },
      ["@t.csv"],
      /^\nerror: row 1, perDay is not a whole number/,
    ],
  ]))
    it(`${script}: ${what}`, () => refuses(script, files, args, message));
});
