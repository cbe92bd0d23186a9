// Schemathesis reads the description of the admin API and calls it thousands of times, with what the description allows and
// with what it does not: what is answered has to be described, and nothing may be taken or refused against the description.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { root } from "../../scripts/lib/places.mjs";
import { python } from "../../scripts/lib/python.mjs";
import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const CONFIG = fileURLToPath(new URL("../schemathesis.toml", import.meta.url));
/** More calls a minute than it makes. */
const RATE = "\n[admin.rate]\nprincipal = 1_000_000\ntenant = 1_000_000\nnetwork = 1_000_000\n";

/** @type {Gate} */
let gate;
/** Where it keeps what it has seen. */
const folder = mkdtempSync(join(tmpdir(), "keyward-schemathesis-"));
before(async () => {
  const document = await documentOf("default", { edit: (text) => text + RATE, isRated: true });
  gate = await startGate({ document, secrets: { KEYWARD_RECOVERY_TOKEN: randomBytes(24).toString("base64url") } });
});
after(async () => {
  await gate?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("the admin API does what its description says, whatever is sent", { timeout: 400_000 }, async () => {
  const owner = await gate.owner();
  for (const name of ["one", "two"]) {
    await owner.createKey({ name, tags: ["t"] });
    await owner.must("POST", "/tenants", { name });
    await owner.must("POST", "/invitations", { email: `${name}@example.com`, role: "viewer" });
  }
  const { code, output } = await schemathesis(owner.token);
  assert.equal(code, 0, output);
  assert.equal((await owner.call("GET", "/session")).status, 200, "it was signed in to the end");
});

/** @param {string} token a session's */
async function schemathesis(token) {
  // The file, which api_description.test.mjs compares with what is served.
  const args = ["--config-file", CONFIG, "run", "--url", `${gate.url}/api/admin`, join(root, "openapi.json")];
  const env = { ...process.env, SESSION: token, COLUMNS: "160" };
  return new Promise((resolve) => {
    execFile(
      join(dirname(python), "schemathesis"),
      args,
      { cwd: folder, env, maxBuffer: 1 << 27 },
      (error, stdout, stderr) => {
        resolve({ code: error ? (error.code ?? 1) : 0, output: stdout + stderr });
      },
    );
  });
}
