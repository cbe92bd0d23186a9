// Reports of leaked keys, in the form of GitHub's secret scanning: signed with a key that a real server publishes, sent to the built
// Worker. And the patterns with which scanners find keys.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { parse as parseToml } from "smol-toml";
import { parse as parseYaml } from "yaml";

import { root } from "../../scripts/lib/places.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const KEYS = "https://scanner.example/meta/public_keys/secret_scanning";
const FOUND_AT = "https://github.com/octocat/hello/blob/main/.env";
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const another = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  const section = `\n[admin.leaks]\nthen = "revoke"\nkeys_url = "${KEYS}"\n`;
  gate = await startGate({ edit: (text) => text + section, internet: true });
  publish("key-1");
  owner = await gate.owner();
});
after(() => gate?.stop());

/** The scanner's server answers with its key, under this identifier. */
function publish(/** @type {string} */ identifier) {
  if (!gate.internet) throw new Error("there is no internet");
  const key = publicKey.export({ type: "spki", format: "pem" });
  gate.internet.answer = (request, response) => {
    const isFor = request.headers.host === "scanner.example" && request.url === new URL(KEYS).pathname;
    if (!isFor) return void response.writeHead(404).end();
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ public_keys: [{ key_identifier: identifier, key, is_current: true }] }));
  };
}

const fetches = () => gate.internet?.requests.filter(({ url }) => url === new URL(KEYS).pathname).length ?? 0;

/** Sends a report. */
async function report(
  /** @type {unknown} */ matches,
  { identifier = "key-1", by = privateKey, sent = /** @type {string | undefined} */ (undefined), headers = {} } = {},
) {
  const body = typeof matches === "string" ? matches : JSON.stringify(matches);
  const answer = await gate.admin().call("POST", "/leaks", sent ?? body, {
    "Github-Public-Key-Identifier": identifier,
    "Github-Public-Key-Signature": sign("sha256", Buffer.from(body), by).toString("base64"),
    "Content-Type": "application/json",
    ...headers,
  });
  return answer;
}

const found = (/** @type {string} */ token, url = FOUND_AT) => ({
  token,
  type: "keyward_api_key",
  url,
  source: "content",
});
const isLet = async (/** @type {string} */ key) =>
  (await gate.send({ target: "/api/orders/17", headers: { Authorization: `Bearer ${key}` } })).status;

test("a key that is reported is refused from then on, what is no key is told, and the audit says where it was found", async () => {
  const [leaked, other] = [await owner.createKey({}), await owner.createKey({})];
  assert.deepEqual([await isLet(leaked.plaintextKey), await isLet(other.plaintextKey)], [200, 200]);
  const forged = other.plaintextKey.replace(/.$/, (last) => (last === "a" ? "b" : "a"));
  const matches = [found(leaked.plaintextKey), found(forged), found("some_token")];
  const answer = await report(matches);
  assert.equal(answer.status, 200, answer.text);
  const label = (/** @type {number} */ at, /** @type {string} */ label) => ({
    token_raw: matches[at].token,
    token_type: "keyward_api_key",
    label,
  });
  assert.deepEqual(answer.json(), [label(0, "true_positive"), label(1, "false_positive"), label(2, "false_positive")]);
  assert.equal(answer.header("content-type"), "application/json");
  const { apiKey } = await owner.must("GET", `/api-keys/${leaked.apiKey.id}`);
  assert.deepEqual(
    [apiKey.status, apiKey.revokedBy.type, apiKey.revokeReason],
    ["REVOKED", "scanner", `Found at ${FOUND_AT}`],
  );
  await gate.advance(60_000);
  assert.deepEqual([await isLet(leaked.plaintextKey), await isLet(other.plaintextKey)], [401, 200]);
  // Again, and it is as it was.
  assert.deepEqual((await report(matches)).json()[0], label(0, "true_positive"));
  const { entries } = await owner.must("GET", `/audit?action=key.leaked&object=${leaked.apiKey.id}`);
  assert.equal(entries.length, 1);
  assert.equal(entries[0].actor.type, "scanner");
  assert.deepEqual(entries[0].after, { status: "REVOKED", url: FOUND_AT });
});

test("what the scanner has not signed, or not so, says nothing of a key and does nothing to it", async () => {
  const { plaintextKey, apiKey } = await owner.createKey({});
  const matches = [found(plaintextKey)];
  const signature = { "Github-Public-Key-Signature": "" };
  const before = fetches();
  for (const wrong of [
    { by: another },
    { sent: JSON.stringify([...matches, found("x")]) },
    { identifier: "key-2" },
    { headers: signature },
    { headers: { "Github-Public-Key-Signature": "MEUC" } },
  ]) {
    const answer = await report(matches, wrong);
    assert.equal(answer.status, 401, JSON.stringify(wrong));
    assert.equal(answer.json().code, "INVALID_CREDENTIALS");
    assert.ok(!answer.text.includes(plaintextKey) && !answer.text.includes("positive"));
  }
  assert.ok(fetches() - before <= 1, "made-up identifiers cause no fetches");
  assert.equal((await owner.must("GET", `/api-keys/${apiKey.id}`)).apiKey.status, "ACTIVE");
  assert.equal(await isLet(plaintextKey), 200);
  // A person or a key may not either.
  await owner.refused([401, "INVALID_CREDENTIALS"], "POST", "/leaks", matches);
});

test("a key that the scanner has changed to is fetched, and one of which nothing is known any more is none", async () => {
  const { plaintextKey } = await owner.createKey({});
  publish("key-3");
  await gate.advance(61_000);
  assert.equal((await report([found(plaintextKey)], { identifier: "key-3" })).status, 200);
  await gate.advance(61_000);
  assert.equal((await report([found(plaintextKey)], { identifier: "key-1" })).status, 401);
  publish("key-1");
  await gate.advance(61_000);
  assert.equal((await report([])).status, 200);
});

test("a report has a bound, and one that is no report is told so once it is signed", async () => {
  assert.equal((await report("{}")).json().code, "MALFORMED_JSON");
  assert.equal((await report(Array.from({ length: 1001 }, () => found("x")))).json().code, "VALIDATION_FAILED");
  const many = await report(Array.from({ length: 1000 }, (_, at) => found(`kw_live_${at}`)));
  assert.equal(many.json().length, 1000);
  assert.equal((await report([found("x".repeat(600_000))])).status, 413);
});

test("a deployment whose policy does not say so takes no reports", async (t) => {
  const closed = await startGate();
  t.after(() => closed.stop());
  await closed.admin().refused([404, "NOT_FOUND"], "POST", "/leaks", [found("x")]);
});

test("the patterns for scanners find the keys that are made, and nothing that has another form", async () => {
  const docs = (/** @type {string} */ name) => readFileSync(join(root, "docs", name), "utf8");
  const [rule] = /** @type {any} */ (parseToml(docs("leaks/gitleaks.toml"))).rules;
  const [detector] = parseYaml(docs("leaks/trufflehog.yaml")).detectors;
  const shown = /```regex\n(.*)\n```/.exec(docs("leaks.md"))?.[1];
  assert.deepEqual([rule.regex, detector.regex.key], [shown, shown]);
  const pattern = new RegExp(`${shown}`, "g");
  const key = async (/** @type {object} */ fields) => (await owner.createKey(fields)).plaintextKey;
  const made = await Promise.all([key({}), key({}), key({ testMode: true })]);
  const text = made.map((one, at) => `KEY_${at}="${one}"\nhttps://x.example/?k=${one}&b`).join("\n");
  assert.deepEqual(
    [...text.matchAll(pattern)].map(([, one]) => one),
    made.flatMap((one) => [one, one]),
  );
  for (const [one] of [made]) {
    const no = [
      one.slice(0, -1),
      `${one}x`,
      one.replace("kw_live_", "kw_prod_"),
      `x${one}`,
      one.replace(/.$/, "-"),
      one.replace(/.{3}$/, "."),
    ];
    for (const other of no) assert.equal(other.match(pattern), null, other);
    for (const { keywords } of [rule, detector]) assert.ok(keywords.some((word) => one.includes(word)));
  }
});
