// What `npm pack` needs to be there: the gate, the checker and the page, built whole.

import { build } from "./build.mjs";
import { putNotices } from "./lib/notices.mjs";
import { runMain, Steps } from "./lib/progress.mjs";
import { setup, setupSteps } from "./setup.mjs";

await runMain(async () => {
  // npm takes what is printed to standard output for the name of the tarball.
  const steps = new Steps(setupSteps() + 1, process.stderr);
  await setup(steps);
  await steps.run("Building the Worker", (progress) => build({ quick: false }, progress));
  await putNotices();
});
