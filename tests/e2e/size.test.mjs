// How large the Worker is that is deployed, and whether a stack trace of it can be read.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { build } from "../../scripts/build.mjs";
import { root } from "../../scripts/lib/places.mjs";
import { codeOf, functionNames } from "../../scripts/lib/wasm.mjs";
import { symboliser } from "../../scripts/symbolise.mjs";

/**
 * Most bytes of the wasm, gzipped. Make it less when the Worker gets smaller. It leaves some 8 KB: the same source has more or
 * fewer bytes, by a few kilobytes, where the folder that it is built in has another name.
 */
const MOST_BYTES = 756_000;

const wasm = (name) => readFileSync(join(root, "build", name));

// A quick build is larger.
before(() => build({ quick: false }));

test("the Worker stays small", () => {
  const bytes = gzipSync(wasm("keyward.wasm"), { level: 9 }).length;
  assert.ok(
    bytes <= MOST_BYTES,
    `build/keyward.wasm has ${bytes} bytes gzipped, and may have ${MOST_BYTES}: docs/performance.md says what makes it large, and how to see that`,
  );
});

test("the Worker is no larger than README says", () => {
  const bytes = wasm("keyward.wasm").length + wasm("keyward.js").length;
  const said = /The Worker has less than (\d) MB/.exec(readFileSync(join(root, "README.md"), "utf8"))?.[1];
  assert.ok(bytes < Number(said) * 1e6, `${bytes} bytes, and README says ${said} MB`);
});

test("a function's number in a stack trace of the Worker leads to its name", () => {
  const [deployed, named] = [wasm("keyward.wasm"), wasm("keyward.debug.wasm")];
  assert.equal(functionNames(deployed).size, 0, "what is deployed has no names");
  assert.ok(Buffer.concat(codeOf(deployed)).equals(Buffer.concat(codeOf(named))), "the same functions");
  const [number] = [...functionNames(named)].find(([, name]) => name.includes("keyward_gate"));
  const line = `    at wasm://wasm/00b1fa0e:wasm-function[${number}]:0x5b1`;
  assert.match(symboliser(named)(line), /^ {4}at wasm:\/\/wasm\/00b1fa0e:.*keyward_gate::.*:0x5b1$/);
  assert.equal(symboliser(named)("wasm-function[9999999]"), "wasm-function[9999999]");
});
