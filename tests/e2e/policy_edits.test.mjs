// A change of the policy while `npm start` runs.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { root } from "../../scripts/lib/places.mjs";
import { freePort } from "./harness/ports.mjs";
import { ask, copy, copyBuild, linkPackages, start } from "./harness/project.mjs";
import { waitFor } from "./harness/wait.mjs";

for (const [what, policy, changed] of [
  ["the default policy", "keyward.toml", "keyward.toml"],
  ["a policy of one's own", "mine/policy.toml", "mine/policy.toml"],
  ["a policy that another includes", "mine/policy.toml", "mine/more/included.toml"],
  ["a policy that the default one includes since it runs", "keyward.toml", "mine/more/included.toml"],
]) {
  test(`a change of ${what} holds in a gate that runs, and a mistake is told with its line while the gate goes on`, async (t) => {
    const folder = copy(t);
    linkPackages(folder);
    copyBuild(folder);
    mkdirSync(join(folder, "mine", "more"), { recursive: true });
    const realm = readFileSync(join(root, "keyward.toml"), "utf8");
    const isIncluded = changed.includes("included");
    writeFileSync(join(folder, "mine/policy.toml"), isIncluded ? 'include = ["more/included.toml"]\n' : realm);
    writeFileSync(join(folder, "mine/more/included.toml"), realm);
    const port = await freePort();
    // No compiler: a policy needs none.
    const gate = await start(t, folder, port, {}, "--policy", policy);
    const said = (text) => waitFor(text, () => gate.text().split("Its log").at(-1).includes(text));
    const status = async (path) => (await ask(`http://127.0.0.1:${port}${path}`)).status;
    const holds = (path, expected) =>
      waitFor(`${expected} for ${path}`, async () => (await status(path)) === expected, {
        everyMs: 50,
      });
    // As editors do it: another file takes its place.
    const edit = (text, file = join(folder, changed)) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    assert.deepEqual([await status("/api/public/x"), await status("/api/open/x")], [200, 404]);
    if (isIncluded && policy === "keyward.toml") {
      edit(realm.replaceAll("/api/public/", "/api/early/"));
      edit('include = ["mine/more/included.toml"]\n', join(folder, policy));
      await holds("/api/early/x", 200);
    }

    const begun = Date.now();
    edit(realm.replaceAll("/api/public/", "/api/open/"));
    await holds("/api/open/x", 200);
    t.diagnostic(`a change holds after ${Date.now() - begun} ms`);
    assert.equal(await status("/api/public/x"), 404);
    await said(`${changed} has changed.\nThe gate runs with it.`);

    const lines = realm.replaceAll("/api/public/", "/api/open/").split("\n");
    const line = lines.findIndex((text) => text.startsWith("origin = ")) + 1;
    edit(lines.with(line - 1, 'orgin = { binding = "ORIGIN" }').join("\n"));
    await said(`error: the policy ${policy} is wrong`);
    await said("The gate goes on with the policy as it was.");
    const told = gate.text().split("is wrong").at(-1);
    assert.match(told, new RegExp(`error: ${changed}:${line}: .*orgin`));
    assert.match(told, /\borgin = \{ binding = "ORIGIN" \}/, "the line itself");
    assert.match(told, /hint: did you mean .?origin/);
    assert.equal(await status("/api/open/x"), 200, "the policy as it was");

    edit(realm);
    await holds("/api/public/x", 200);
    assert.equal(await status("/api/open/x"), 404);
    await gate.stop();
  });
}
