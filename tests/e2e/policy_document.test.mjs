// The policy's document stays what it is when JavaScript reads and writes it, as bundlers do.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const documents = new URL("../../crates/policy/tests/it/documents/", import.meta.url);

test("JavaScript writes a document that it has read with the same bytes", () => {
  const names = readdirSync(documents).filter((name) => name.endsWith(".json"));
  assert.ok(names.length >= 3);
  for (const name of names) {
    const text = readFileSync(new URL(name, documents), "utf8");
    assert.equal(JSON.stringify(JSON.parse(text)), text, name);
  }
});
