// Makes the files of a release, in build/release/ (RELEASING.md says what each is):
//   npm run package
// It takes GNU tar, so Linux.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { build } from "./build.mjs";
import { putNotices } from "./lib/notices.mjs";
import { root } from "./lib/places.mjs";
import { Failure, runMain, Steps } from "./lib/progress.mjs";
import { version } from "./lib/version.mjs";
import { setup, setupSteps } from "./setup.mjs";

const RELEASE = join(root, "build", "release");
/** What is in the archive, and where it is made. */
const CONTENT = {
  "keyward.js": "build/keyward.js",
  "keyward.wasm": "build/keyward.wasm",
  page: "build/page",
  check: "build/check",
  "keyward.schema.json": "keyward.schema.json",
  "openapi.json": "openapi.json",
  "THIRD-PARTY-NOTICES": "build/THIRD-PARTY-NOTICES",
  "CHANGELOG.md": "CHANGELOG.md",
  "LICENSE-APACHE": "LICENSE-APACHE",
  "LICENSE-MIT": "LICENSE-MIT",
};

await runMain(async () => {
  const name = `keyward-${version()}`;
  const steps = new Steps(setupSteps() + 2);
  await setup(steps);
  await steps.run("Building the Worker", (progress) => build({ quick: false }, progress));
  await steps.run("Packing", async () => {
    await putNotices();
    pack(name);
  });
  console.log(readFileSync(join(RELEASE, "SHA256SUMS"), "utf8"));
});

/**
 * Puts the archive, the wasm with names and the checksums of both where nothing else is.
 * @param {string} name
 */
function pack(name) {
  rmSync(RELEASE, { recursive: true, force: true });
  const folder = join(RELEASE, name);
  mkdirSync(folder, { recursive: true });
  for (const [to, from] of Object.entries(CONTENT)) cpSync(join(root, from), join(folder, to), { recursive: true });
  cpSync(join(root, "build", "keyward.debug.wasm"), join(RELEASE, `${name}.debug.wasm`));
  // The same content is the same archive, whoever packs it and when.
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=a+rX,u+w,go-w"];
  try {
    const tar = execFileSync("tar", [...same, "--create", "--directory", RELEASE, name], { maxBuffer: 2 ** 28 });
    writeFileSync(
      join(RELEASE, `${name}.tar.gz`),
      execFileSync("gzip", ["-9", "-n"], { input: tar, maxBuffer: 2 ** 28 }),
    );
  } catch {
    throw new Failure("packing failed: GNU tar and gzip are needed", "Pack on Linux, as the release workflow does.");
  }
  rmSync(folder, { recursive: true });
  execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", RELEASE], { cwd: root });
  const line = (/** @type {string} */ file) =>
    `${createHash("sha256")
      .update(readFileSync(join(RELEASE, file)))
      .digest("hex")}  ${file}\n`;
  writeFileSync(join(RELEASE, "SHA256SUMS"), readdirSync(RELEASE).sort().map(line).join(""));
}
