// Programs that the tests need and Debian or Ubuntu have in packages.

import { join } from "node:path";

import { inPath, logs } from "./places.mjs";
import { Failure, output, run } from "./progress.mjs";

/**
 * Installs a package, where that can be done without asking for a password.
 * `missing`: what to say where it cannot; `byHand`: what to do then; `progress`: as of a step
 * @param {string} name
 * @param {{ missing: string, byHand: string, progress: (text: string) => void }} options
 */
export async function aptInstall(name, { missing, byHand, progress }) {
  const isRoot = process.getuid?.() === 0;
  const maySudo = isRoot || (await output("sudo", ["-n", "true"])) !== undefined;
  if (!inPath("apt-get") || !maySudo) throw new Failure(missing, byHand);
  let total;
  let done = 0;
  const onLine = (line) => {
    total = line.match(/(\d+) newly installed/)?.[1] ?? total;
    if (line.startsWith("Setting up ")) progress(`package ${++done} of ${total}`);
  };
  const apt = (what, args, hint) => {
    const [command, ...rest] = [
      ...(isRoot ? [] : ["sudo", "-n"]),
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      ...args,
    ];
    return run(command, rest, { log: join(logs, "apt.log"), what, hint, onLine });
  };
  await apt(
    "apt-get update",
    ["update"],
    "Is the network reachable? It can be run again; what is already there is kept.",
  );
  await apt(`apt-get install ${name}`, ["install", "-y", "--no-install-recommends", name], byHand);
}
