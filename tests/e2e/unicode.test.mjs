// What Unicode says of a character is the engine's word in the Worker, and that of tables natively (crates/unicode): here the
// two are compared, on the runtime itself. The tables may be of a newer Unicode: what the engine does not know yet is left out.

import assert from "node:assert/strict";
import { test } from "node:test";

import { example } from "./harness/example.mjs";
import { startWorker } from "./harness/worker.mjs";

/** Compares the lines with the engine, as crates/unicode/src/engine.rs asks it, and answers those that differ. */
const WORKER = `
const upper = (c) => { const all = c.toUpperCase(); return [...all].length === 1 ? all : ""; };
const forms = (text) => ["NFC", "NFD", "NFKC", "NFKD"].map((form) => text.normalize(form));
export default { async fetch(request) {
  const wrong = [];
  const isKnown = (text) => !/\\p{Cn}/u.test(text);
  const same = (line, own) => { if (own.join("\\t") !== line) wrong.push(line); };
  const listed = new Set();
  const classes = { M: [/^\\p{M}/u, new Set()], A: [/^[\\p{Alphabetic}\\p{N}]/u, new Set()] };
  let sequences = 0;
  let known = 0;
  for (const line of (await request.text()).split("\\n").slice(0, -1)) {
    const [kind, text, last] = line.split("\\t");
    if (kind === "C") {
      listed.add(text);
      if (isKnown(text)) same(line, [kind, text, ...forms(text), text.toLowerCase(), upper(text)]);
    } else if (kind === "S") {
      sequences++;
      same(line, [kind, text, ...forms(text), text.toLowerCase(), text.replace(/\\p{M}+/gu, "")]);
    } else {
      for (let code = parseInt(text, 16); code <= parseInt(last, 16); code++) classes[kind][1].add(code);
    }
  }
  for (let code = 0; code <= 0x10ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const c = String.fromCodePoint(code);
    if (!isKnown(c)) continue;
    known++;
    if (!listed.has(c) && [...forms(c), c.toLowerCase(), upper(c)].some((form) => form !== c)) wrong.push("C " + code.toString(16));
    for (const [kind, [pattern, members]] of Object.entries(classes)) {
      if (pattern.test(c) !== members.has(code)) wrong.push(kind + " " + code.toString(16));
    }
  }
  return Response.json({ wrong: wrong.slice(0, 20), count: wrong.length, known, sequences });
} };`;

test("the runtime's engine says of every character what the native tables say", async () => {
  const lines = await example("keyward-unicode", "tables");
  const worker = await startWorker(WORKER);
  try {
    const answer = await fetch(worker.url, { method: "POST", body: lines });
    const { wrong, count, known, sequences } = await answer.json();
    assert.deepEqual({ wrong, count }, { wrong: [], count: 0 });
    assert.ok(known > 290_000 && sequences === 20_000, `${known} characters, ${sequences} sequences`);
  } finally {
    await worker.stop();
  }
});
