// Prints what CHANGELOG.md says of the version that a tag names, if that is the version of the files:
//   node scripts/release_notes.mjs v1.2.3
// On GitHub its links lead into the repository at that tag.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "./lib/places.mjs";
import { Failure, runMain } from "./lib/progress.mjs";
import { notesOf, version } from "./lib/version.mjs";

await runMain(() => {
  const [tag] = process.argv.slice(2);
  if (tag !== `v${version()}`)
    throw new Failure(
      `the tag ${tag} is not v${version()}, which the files are of`,
      "Set the version first, and tag that commit.",
    );
  const notes = notesOf(readFileSync(join(root, "CHANGELOG.md"), "utf8"), version());
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = process.env;
  const at = server && repository ? `${server}/${repository}/blob/${tag}/` : "";
  console.log(notes.replace(/\]\((?!\w+:|#)/g, `](${at}`));
});
