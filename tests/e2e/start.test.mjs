// What `npm start` shows of each policy of the project: the requests that it prints have the statuses
// that it prints before them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { curl, demoOf, demoRequests, makeDemoKey } from "../../scripts/lib/demo.mjs";
import { readPolicies, realmsOf, secretsOf } from "../../scripts/lib/policy.mjs";
import { startGate } from "./harness/gate.mjs";
import { SECRETS } from "./systems.mjs";

const EXAMPLES = ["bd", "gw", "bs", "bp", "kb", "all"].map((name) => `examples/${name}/keyward.toml`);

/** The statuses that are printed for these realms, after each was tried on the gate. */
async function tried(t, policy, realms, secrets = SECRETS) {
  const gate = await startGate({ policy, secrets });
  t.after(() => gate.stop());
  const demo = demoOf(realms);
  const made = await makeDemoKey(demo, async (method, path, body) => {
    const answer = await gate
      .admin()
      .call(method, path, body, { Authorization: `Setup ${gate.secrets.KEYWARD_SETUP_TOKEN}` });
    return { status: answer.status, body: answer.json() };
  });
  assert.equal(made.key === undefined, demo.passes === undefined, made.why);
  const requests = demoRequests(demo, made);
  for (const request of requests) {
    const { status, method, target, headers, times } = request;
    const statuses = [];
    // From this machine, as when it is tried by hand: realms may ask for TLS of everybody else.
    const send = () => gate.send({ method, target, headers: { ...headers, "CF-Connecting-IP": "127.0.0.1" } });
    for (let i = 0; i < times; i++) statuses.push((await send()).status);
    assert.equal(statuses.at(-1), status, `${curl(gate.url, request)}: ${statuses}`);
  }
  return requests.map(({ status }) => status);
}

for (const policy of ["keyward.toml", ...EXAMPLES]) {
  test(`the requests that npm start prints for ${policy} answer what it says`, async (t) => {
    const policies = await readPolicies(policy);
    assert.deepEqual(
      secretsOf(policies).filter((name) => !SECRETS[name]),
      [],
    );
    const statuses = await tried(t, policy === "keyward.toml" ? "default" : "systems", realmsOf(policies));
    assert.equal(statuses.length, 4);
  });
}

for (const [what, id, expected] of [
  ["a realm that is open to all", "start-open", [200, 404]],
  ["another scheme, a low limit and a path with a quote", "start-scheme", [200, 401, 400, 429]],
  ["a header of the realm's own and a session id", "start-header", [200, 401, 400, 429]],
  ["requests that count as many, and reserve units", "start-cost", [200, 401, 400, 429]],
  ["tokens only", "start-tokens", [401, 404]],
  ["webhooks only", "start-webhooks", [401, 404]],
  ["TLS only, also from this machine", "start-tls", [403]],
]) {
  test(`the requests that npm start prints answer what it says: ${what}`, async (t) => {
    const realms = realmsOf(await readPolicies("tests/e2e/start.toml")).filter((realm) => realm.id === id);
    const secrets = {
      ...SECRETS,
      START_TOKENS: "a secret that signs tokens, for tests",
      START_WEBHOOKS: "whsec_for_tests",
    };
    assert.deepEqual(await tried(t, "systems", realms, secrets), expected);
  });
}

for (const [what, id, expected] of [
  ["Basic, keys that have to end, and statuses of the realm's own", "partner", [200, 404, 400, 429]],
  ["a key where others are a key and a token", "shop", [200, 401, 403, 429]],
]) {
  test(`the requests that npm start prints answer what it says: ${what}`, async (t) => {
    const policy = "tests/e2e/policies/real_apis.toml";
    const policies = await readPolicies(policy);
    const secrets = Object.fromEntries(
      secretsOf(policies).map((name) => [name, "of more than 32 bytes, for the tests"]),
    );
    const realms = realmsOf(policies).filter((realm) => realm.id === id);
    assert.deepEqual(
      await tried(t, policy, realms, { ...secrets, SVIX_SECRET: "whsec_c2VjcmV0IG9mIHN2aXg=" }),
      expected,
    );
  });
}

test("a key alone opens no route that needs a token, too, and stands among the subprotocols only if it has to", () => {
  const realm = (requires, credentials) => ({
    id: "a",
    hosts: ["*"],
    paths: ["/*"],
    route: [{ path: "/a", requires }],
    credentials,
  });
  const [subprotocol, header] = [{ header: "Sec-WebSocket-Protocol", scheme: "key" }, { header: "X-Key" }];
  const both = demoOf([realm({ all: ["key", "jwt"] }, [header])]);
  assert.deepEqual([both.passes, both.closed.path], [undefined, "/a"]);
  const sent = (credentials, key) => demoRequests(demoOf([realm("key", credentials)]), { key, host: "" })[0].headers;
  assert.deepEqual(sent([subprotocol, header], "k"), { "X-Key": "k" });
  assert.deepEqual(sent([subprotocol], "k"), { "Sec-WebSocket-Protocol": "key.k" });
  const basic = [{ header: "Authorization", scheme: "Basic" }];
  assert.deepEqual(sent(basic, "k"), { Authorization: `Basic ${btoa("k:")}` });
  assert.deepEqual(sent(basic), {
    Authorization: `Basic $(printf %s "$KEY:" | base64 | tr -d '\\n')`,
  });
});

test("a request that an earlier realm would take is not printed for a later one", () => {
  const realm = (id, host) => ({
    id,
    hosts: [host],
    paths: ["/*"],
    route: [{ path: "/a", requires: "key" }],
    credentials: [{ header: "X-Key" }],
  });
  assert.equal(
    demoOf([
      { ...realm("first", "*.example"), credentials: [] },
      realm("second", "b.example"),
      realm("third", "c.test"),
    ]).realm.id,
    "third",
  );
});

test("where no key is known, the requests name one that the reader has to fill in", () => {
  const demo = demoOf([
    {
      id: "a",
      hosts: ["*"],
      paths: ["/*"],
      route: [{ path: "/a", requires: "key" }],
      credentials: [{ header: "Authorization", scheme: "Bearer" }],
    },
  ]);
  const lines = demoRequests(demo, { why: "the set-up is done", host: "" }).map(
    (request) => `${request.status} ${curl("http://127.0.0.1:1", request)}`,
  );
  assert.deepEqual(lines, [
    '200 curl -i http://127.0.0.1:1/a -H "Authorization: Bearer $KEY"',
    "401 curl -i http://127.0.0.1:1/a",
  ]);
});

test("a request is printed as a line that a shell reads as it is meant", () => {
  const line = (request) =>
    curl("http://127.0.0.1:1", { method: "GET", target: "/", headers: {}, times: 1, ...request });
  assert.equal(
    line({ method: "POST", target: "/a?b=c&d", headers: { Host: "x.example" } }),
    "curl -i -X POST 'http://127.0.0.1:1/a?b=c&d' -H 'Host: x.example'",
  );
  assert.equal(line({ target: "/it's/$(x)" }), "curl -i 'http://127.0.0.1:1/it'\\''s/$(x)'");
  assert.equal(line({ method: "HEAD" }), "curl -i -I http://127.0.0.1:1/", "with -X HEAD it would wait for a body");
});
