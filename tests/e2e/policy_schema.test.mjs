// What an editor says of a policy by the JSON Schema is what the check says: never more, and of names, kinds of values
// and words as much.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Ajv } from "ajv";
import { parse } from "smol-toml";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (file) => readFileSync(root + file, "utf8");
const fits = new Ajv({ strict: true, allErrors: true }).compile(JSON.parse(read("keyward.schema.json")));

/** Files below a folder whose names end so. */
const files = (folder, end) =>
  readdirSync(root + folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(end))
    .map((file) => `${folder}/${file}`);

/** What is wrong with a policy by the schema. */
const faults = (text) =>
  fits(parse(text)) ? [] : fits.errors.map((error) => `${error.instancePath} ${error.message}`);

test("every policy of the project fits the schema", () => {
  const policies = [
    "keyward.toml",
    ...["examples", "tests/e2e", "crates/policy/tests"].flatMap((folder) => files(folder, ".toml")),
  ];
  assert.ok(policies.length >= 10, `${policies}`);
  for (const file of policies) assert.deepEqual(faults(read(file)), [], file);
});

test("a policy names the schema by a path from its own folder", () => {
  for (const file of ["keyward.toml", ...files("examples", "keyward.toml")]) {
    const [, path] = /^#:schema (\S+)\n/.exec(read(file)) ?? assert.fail(file);
    assert.equal(fileURLToPath(new URL(path, `file://${root}${file}`)), `${root}keyward.schema.json`, file);
  }
});

// The tables of mistakes that the check's own tests have.
const right = read("crates/policy/tests/it/mistakes/right.toml");
const marked = (paragraph, sign) =>
  paragraph
    .split("\n")
    .filter((line) => line.startsWith(sign))
    .map((line) => `${line.slice(1).replace(/^ /, "")}\n`)
    .join("");

/** Of these the schema knows. */
const KNOWN =
  /has no field|lacks the field "|but must be (?!one)|which is not one of its values|(requests|characters|seconds|calls a minute), which is out of range/;
/** JavaScript has one type for 1000 and 1e3; what a webhook needs hangs on its scheme, and a client on its issuer's URLs. */
const UNKNOWN = /is \d+e\d+, but|\[realm\.webhook\.NAME\] lacks|lacks the field "client_id"/;

test("a misnamed or missing field, a value of another type and a word that is none are marked", () => {
  let tried = 0;
  for (const file of files("crates/policy/tests/it/mistakes", ".txt")) {
    for (const paragraph of read(file).split("\n\n")) {
      if (!KNOWN.test(paragraph) || UNKNOWN.test(paragraph)) continue;
      const [taken, put] = [marked(paragraph, "-"), marked(paragraph, "+")];
      const wrong = taken === "" ? `${right}\n${put}` : right.replace(taken, () => put);
      let policy;
      try {
        policy = parse(wrong);
      } catch {
        continue; // no TOML at all
      }
      assert.equal(fits(policy), false, `${file}:\n${paragraph}`);
      tried += 1;
    }
  }
  assert.ok(tried >= 40, `${tried}`);
});
