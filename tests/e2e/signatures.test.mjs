// Signatures of tokens on the runtime itself. The Worker has the platform verify them; natively, and in `keyward check`, crates
// do (crates/policy/src/jwk/software.rs). Both are to say the same of every vector that gets as far as the platform.

import assert from "node:assert/strict";
import { test } from "node:test";

import { build } from "esbuild";

import { root } from "../../scripts/lib/places.mjs";
import { example } from "./harness/example.mjs";
import { startWorker } from "./harness/worker.mjs";

/** Answers each line with what the Worker's own `verify` says. */
const WORKER = `import { verify } from "./src/glue.js";
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
export default { async fetch(request) {
  const said = [];
  for (const { jwk, algorithm, text = "", signature = "" } of await request.json()) {
    try {
      said.push(await verify(jwk, algorithm, bytes(text), bytes(signature)));
    } catch (error) {
      said.push(error.message);
    }
  }
  return Response.json(said);
} };`;

test("the platform finds right and wrong what the crates do, and knows the same keys", async () => {
  const { outputFiles } = await build({
    stdin: { contents: WORKER, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    write: false,
    format: "esm",
    alias: { "keyward-spans": "./src/spans.js" },
    external: ["cloudflare:*"],
  });
  const lines = (await example("keyward-gate", "signatures")).trimEnd().split("\n");
  const asked = lines.map((line) => JSON.parse(line));
  const worker = await startWorker(outputFiles[0].text);
  try {
    const answer = await fetch(worker.url, { method: "POST", body: JSON.stringify(asked) });
    const said = await answer.json();
    assert.equal(said.length, asked.length);
    const tried = new Map();
    for (const [at, { name, jwk, isKey, right, algorithm }] of asked.entries()) {
      // Of a key alone the signature is empty: wrong if it is a key, and an error if it is none.
      if (name === undefined) assert.equal(said[at] === false, isKey, `${jwk}: ${said[at]}`);
      else assert.equal(said[at], right, `${name} ${jwk}`);
      const outcome = `${algorithm} ${right ?? isKey}`;
      tried.set(outcome, (tried.get(outcome) ?? 0) + 1);
    }
    const names = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
    for (const name of names) {
      assert.ok(tried.get(`${name} true`) > 3 && tried.get(`${name} false`) > 3, `${name} was tried`);
    }
  } finally {
    await worker.stop();
  }
});
