// What `npm start` shows of each policy of the project: the requests that it prints have the statuses
// that it prints before them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { curl, demoOf, demoRequests, makeDemoKey } from "../../scripts/lib/demo.mjs";
import { readPolicies, realmsOf, secretsOf } from "../../scripts/lib/policy.mjs";
import { startGate } from "./harness/gate.mjs";
import { SECRETS } from "./systems.mjs";

const EXAMPLES = ["bd", "gw", "bs", "bp", "kb", "all"].map((name) => `examples/${name}/keyward.toml`);

for (const policy of ["keyward.toml", ...EXAMPLES]) {
  test(`the requests that npm start prints for ${policy} answer what it says`, async (t) => {
    const realms = realmsOf(await readPolicies(policy));
    assert.deepEqual(secretsOf(realms).filter((name) => !SECRETS[name]), []);
    const gate = await startGate({ build: policy === "keyward.toml" ? "default" : "systems", secrets: SECRETS });
    t.after(() => gate.stop());
    const demo = demoOf(realms);
    const made = await makeDemoKey(demo, async (method, path, body) => {
      const answer = await gate.admin().call(method, path, body, { Authorization: `Setup ${gate.secrets.KEYWARD_SETUP_TOKEN}` });
      return { status: answer.status, body: answer.json() };
    });
    assert.equal(made.why, undefined);
    for (const request of demoRequests(demo, made)) {
      const { status, method, target, headers, times } = request;
      const statuses = [];
      // From this machine, as when it is tried by hand: realms may ask for TLS of everybody else.
      const send = () => gate.send({ method, target, headers: { ...headers, "CF-Connecting-IP": "127.0.0.1" } });
      for (let i = 0; i < times; i++) statuses.push((await send()).status);
      assert.equal(statuses.at(-1), status, `${curl(gate.url, request)}: ${statuses}`);
    }
  });
}

test("a request is printed as a line that a shell reads as it is meant", () => {
  const request = { method: "POST", target: "/a?b=c&d", headers: { Host: "x.example" }, times: 1 };
  assert.equal(curl("http://127.0.0.1:1", request), "curl -i -X POST 'http://127.0.0.1:1/a?b=c&d' -H 'Host: x.example'");
});
