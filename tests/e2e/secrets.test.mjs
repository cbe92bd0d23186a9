// The secrets of a deployment, as `npm run secrets` makes them.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { readSecrets } from "../../scripts/lib/secrets.mjs";
import { copy, linkPackages, run } from "./harness/project.mjs";

/** A copy of the project, and `npm run secrets` in it: what it printed, and what is in the file then. */
function project(t) {
  const folder = copy(t);
  linkPackages(folder);
  const file = join(folder, ".keyward", "secrets.env");
  const secrets = async (...args) => {
    const { ended, text } = run(process.execPath, ["scripts/secrets.mjs", ...args], { cwd: folder });
    assert.equal(await ended, 0, text());
    return { text: text(), values: readSecrets(file) };
  };
  return { folder, file, secrets };
}

test("the secrets of a deployment are kept in a file that git ignores, and the one before stays valid", async (t) => {
  const { file, secrets } = project(t);
  const first = await secrets();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.match(readFileSync(join(root, ".gitignore"), "utf8"), /^\/\.keyward$/m);
  assert.deepEqual(Object.keys(first.values).sort(), [
    "KEYWARD_IDENTITY_KEY",
    "KEYWARD_IDENTITY_KEY_NEXT",
    "KEYWARD_SECRET",
    "KEYWARD_SETUP_TOKEN",
  ]);
  assert.ok(first.text.includes(`/admin/#setup=${first.values.KEYWARD_SETUP_TOKEN}`), first.text);
  assert.ok(!first.text.includes(first.values.KEYWARD_SECRET));
  assert.deepEqual((await secrets()).values, first.values);

  const second = await secrets("--rotate");
  assert.notEqual(second.values.KEYWARD_SECRET, first.values.KEYWARD_SECRET);
  assert.equal(second.values.KEYWARD_SECRET_PREVIOUS, first.values.KEYWARD_SECRET);
  const third = await secrets("--rotate", "--policy", join(root, "examples/gw/keyward.toml"));
  assert.equal(third.values.KEYWARD_SECRET_PREVIOUS, `${second.values.KEYWARD_SECRET},${first.values.KEYWARD_SECRET}`);
  assert.equal(third.values.KEYWARD_SETUP_TOKEN, first.values.KEYWARD_SETUP_TOKEN);
  assert.match(third.text, /GW_STRIPE_SECRET, GW_SQUARE_SECRET/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("each environment has secrets in a file of its own, and a name that is no environment's is refused", async (t) => {
  const { folder, file, secrets } = project(t);
  const { values: plain } = await secrets();
  const { text } = await secrets("--env", "staging");
  assert.match(text, /deploy --env staging --secrets-file \.keyward\/secrets\.staging\.env\n/);
  assert.match(text, /secret bulk \.keyward\/secrets\.staging\.env --env staging\n/);
  const own = join(folder, ".keyward", "secrets.staging.env");
  assert.equal(statSync(own).mode & 0o777, 0o600);
  const staging = readSecrets(own);
  for (const [name, value] of Object.entries(plain)) assert.notEqual(staging[name], value, name);
  await secrets("--env", "staging", "--rotate");
  assert.equal(readSecrets(own).KEYWARD_SECRET_PREVIOUS, staging.KEYWARD_SECRET);
  assert.deepEqual(readSecrets(file), plain, "those of others are as they were");
  for (const [name, why] of /** @type {[string, RegExp][]} */ ([
    ["../up", /"..\/up" is no environment/],
    ["stagng", /wrangler\.toml has no \[env\.stagng\]\n {2}It has staging, production/],
  ])) {
    const { ended, text: said } = run(process.execPath, ["scripts/secrets.mjs", "--env", name], { cwd: folder });
    assert.equal(await ended, 1);
    assert.match(said(), why);
  }
  assert.deepEqual(readdirSync(join(folder, ".keyward")).sort(), ["secrets.env", "secrets.staging.env"]);
});

test("the next identity key signs after a rotation, the one before stays published, and there is another next one", async (t) => {
  const { secrets } = project(t);
  const first = (await secrets("--rotate-identity")).values;
  assert.equal(first.KEYWARD_IDENTITY_KEY_PREVIOUS, undefined, "a new one has signed nothing");
  assert.equal(Buffer.from(first.KEYWARD_IDENTITY_KEY, "base64url").length, 32);
  const { text, values: second } = await secrets("--rotate-identity");
  assert.equal(second.KEYWARD_IDENTITY_KEY, first.KEYWARD_IDENTITY_KEY_NEXT);
  assert.equal(second.KEYWARD_IDENTITY_KEY_PREVIOUS, first.KEYWARD_IDENTITY_KEY);
  assert.ok(![first.KEYWARD_IDENTITY_KEY, first.KEYWARD_IDENTITY_KEY_NEXT].includes(second.KEYWARD_IDENTITY_KEY_NEXT));
  assert.equal(second.KEYWARD_SECRET, first.KEYWARD_SECRET);
  for (const [name, value] of Object.entries(second))
    assert.ok(name === "KEYWARD_SETUP_TOKEN" || !text.includes(value), `${name} is shown`);
});

test("rotating changes nothing but the two lines, and every secret is what it was, in whatever quotes", async (t) => {
  const { folder, file, secrets } = project(t);
  const first = `${"a".repeat(20)}#'$x\\n"${"b".repeat(20)}`;
  const others = [
    "# Ours",
    "",
    `WEBHOOK='with # and "quotes"'`,
    'export  OTHER = "two\nlines"',
    "KEYWARD_SETUP_TOKEN=t0k3n-of-this-test-alone",
    `KEYWARD_IDENTITY_KEY=${"A".repeat(43)}`,
    `KEYWARD_IDENTITY_KEY_NEXT=${"B".repeat(42)}A`,
  ];
  mkdirSync(join(folder, ".keyward"));
  writeFileSync(file, [`KEYWARD_SECRET = \`${first}\``, ...others].join("\n"));
  const before = readSecrets(file);
  assert.equal(before.KEYWARD_SECRET, first);
  const { KEYWARD_SECRET, ...after } = (await secrets("--rotate")).values;
  assert.notEqual(KEYWARD_SECRET, first);
  assert.deepEqual({ ...after, KEYWARD_SECRET: first }, { ...before, KEYWARD_SECRET_PREVIOUS: first });
  assert.ok(readFileSync(file, "utf8").startsWith(others.join("\n")));
  assert.deepEqual(readdirSync(join(folder, ".keyward")), ["secrets.env"]);
});
