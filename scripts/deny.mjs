// Checks what Rust code of others we build: known faults, licences, versions that were taken back, and where it is from.
// deny.toml has the rules; the Worker, the fuzz targets and the tools have to keep them.
//   npm run deny                            everything; known faults are read from RustSec's database on GitHub
//   npm run deny -- licenses bans sources   these checks only, for which no database is needed
// The first time it builds cargo-deny, which takes some minutes.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { logs, programs, root } from "./lib/places.mjs";
import { CARGO_PROGRESS, cratesIn, Failure, run, runMain, Steps } from "./lib/progress.mjs";

const VERSION = "0.20.2";
const CHECKS = ["advisories", "bans", "licenses", "sources"];
/** Each has a Cargo.lock of its own. The fuzz targets are in the first one. */
const MANIFESTS = ["Cargo.toml", "tools/Cargo.toml"];

await runMain(async () => {
  const checks = process.argv.slice(2);
  const unknown = checks.find((name) => !CHECKS.includes(name));
  if (unknown) throw new Failure(`there is no check ${unknown}`, `There are ${CHECKS.join(", ")}.`);
  const steps = new Steps(1);
  const program = await steps.run(`cargo-deny ${VERSION}`, install);
  const failed = MANIFESTS.filter((manifest) => {
    console.log(`\n${manifest}`);
    const graph = ["--manifest-path", join(root, manifest), "--config", join(root, "deny.toml")];
    // What is allowed and not met in one of the two is met in the other.
    const unmet = ["license-not-encountered", "license-exception-not-encountered", "advisory-not-detected"].flatMap(
      (lint) => ["--allow", lint],
    );
    const asked = ["check", ...unmet, ...checks];
    const args = [...graph, "--locked", "--workspace", "--all-features", ...asked];
    return spawnSync(program, args, { cwd: root, stdio: "inherit" }).status !== 0;
  });
  if (failed.length)
    throw new Failure(
      `what ${failed.join(" and ")} builds breaks a rule of deny.toml`,
      "Take another version or crate, or write an exception with its reason into deny.toml.",
    );
});

/**
 * The program, which is built unless this version is there.
 * @param {(text: string) => void} progress
 */
async function install(progress) {
  const to = join(programs(), `cargo-deny-${VERSION}`);
  const program = join(to, "bin", "cargo-deny");
  if (existsSync(program)) return program;
  await run("cargo", ["install", "--locked", `cargo-deny@${VERSION}`, "--root", to], {
    log: join(logs, "cargo-deny.log"),
    what: "building cargo-deny",
    hint: "Is the network reachable? It can be run again.",
    env: CARGO_PROGRESS,
    onLine: (line) => {
      if (cratesIn(line)) progress(cratesIn(line));
    },
  });
  return program;
}
