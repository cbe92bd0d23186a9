// What it costs an isolate to begin: a fresh instance of the gate's wasm, and reading its policy, in workerd. The clock of
// a Worker stands still while it computes, so whole requests are timed from outside, many beginnings in each:
//   npm run build && node bench/policy.mjs [POLICY…]
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { build } from "esbuild";
import { Miniflare } from "miniflare";

import { check } from "../scripts/lib/check.mjs";
import { root } from "../scripts/lib/places.mjs";
import { compatibility_date, compatibility_flags } from "./lib/workerd.mjs";

const TIMES = 100;
const ROUNDS = 5;

const WORKER = `import { __wbg_reset_state, start } from "keyward-wasm";
export default { async fetch(request) {
  const document = await request.text();
  for (let i = 0; i < ${TIMES}; i++) { __wbg_reset_state(); if (document) start(document); }
  return new Response();
} };`;

const { outputFiles } = await build({
  stdin: { contents: WORKER, resolveDir: root },
  absWorkingDir: root,
  bundle: true,
  write: false,
  format: "esm",
  alias: {
    "keyward-wasm": "./target/bindgen/keyward.js",
    "keyward-body": "./src/body.js",
    "keyward-handlers": "./src/handlers.js",
    "keyward-instance": "./src/instance.js",
    "keyward-spans": "./src/spans.js",
    "keyward-verdict": "./src/verdict.js",
  },
  external: ["*.wasm", "cloudflare:*"],
});
const miniflare = new Miniflare({
  workers: [
    {
      config: {
        name: "bench",
        compatibilityDate: compatibility_date,
        compatibilityFlags: compatibility_flags,
        manifest: {
          mainModule: "worker.mjs",
          modules: {
            "worker.mjs": { type: "esm", contents: outputFiles[0].text },
            "keyward.wasm": {
              type: "wasm",
              contents: new Uint8Array(readFileSync(join(root, "build", "keyward.wasm"))),
            },
          },
        },
      },
      dev: { unsafeRegisterWorker: false },
    },
  ],
  host: "127.0.0.1",
  port: 0,
  cf: false,
  enableDevRegistry: false,
});
const url = await miniflare.ready;

/** Milliseconds of one beginning with this document, or with none: the median of all rounds but the first. */
async function beginning(document) {
  const rounds = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const begun = performance.now();
    await (await fetch(url, { method: "POST", body: document })).arrayBuffer();
    if (round > 0) rounds.push((performance.now() - begun) / TIMES);
  }
  return rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)];
}

const bare = await beginning("");
console.log(`an instance of the wasm: ${bare.toFixed(2)} ms`);
for (const policy of process.argv.length > 2 ? process.argv.slice(2) : ["keyward.toml", "examples/all/keyward.toml"]) {
  const document = await check(policy);
  console.log(`${policy}, ${document.length} bytes: ${((await beginning(document)) - bare).toFixed(2)} ms more`);
}
await miniflare.dispose();
