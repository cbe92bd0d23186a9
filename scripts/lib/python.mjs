// Python for the tests that use client libraries in that language: an environment of its own with pinned
// packages, whose hashes are checked.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { aptInstall } from "./apt.mjs";
import { inPath, logs, root } from "./places.mjs";
import { Failure, output, run, Steps } from "./progress.mjs";

const LEAST = [3, 10];
const REQUIREMENTS = join(root, "tests", "e2e", "requirements.txt");
const BY_HAND = `Install Python ${LEAST.join(".")} or newer with its modules venv and ensurepip by hand, and set PYTHON to its path if it is not in PATH as python3.`;
const folder = join(root, "target", "python");

/** The interpreter that has the packages. */
export const python = join(folder, "bin", "python");

/** Makes the environment, unless it is there as it should be. */
export async function pythonPackages(progress) {
  const { found, version } = await interpreter(progress);
  const stamp = join(folder, "keyward-stamp");
  const wanted = createHash("sha256").update(readFileSync(REQUIREMENTS)).update(`${found} ${version}`).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted && existsSync(python)) return Steps.nothing;
  // What is half done has no stamp, and is made anew.
  rmSync(folder, { recursive: true, force: true });
  const log = join(logs, "python.log");
  await run(found, ["-m", "venv", folder], { log, what: "making an environment of Python", hint: BY_HAND });
  await run(
    python,
    [
      "-m",
      "pip",
      "install",
      "--disable-pip-version-check",
      "--require-hashes",
      "--only-binary=:all:",
      "-r",
      REQUIREMENTS,
    ],
    {
      log,
      what: "pip install",
      onLine: (line) => {
        if (line.startsWith("Collecting ")) progress(line.split(/[ =]/)[1]);
      },
      hint: "Is the network reachable? It can be run again. Only wheels are installed, and a very new Python may not have them all yet: set PYTHON to another one.",
    },
  );
  writeFileSync(stamp, wanted);
}

/** A Python that can make environments: the one that is named, or python3, which is installed where it is missing. */
async function interpreter(progress) {
  const find = () => process.env.PYTHON || inPath("python3");
  const says = (code) => output(find() ?? "python3", ["-c", code]);
  const canMakeEnvironments = async () => (await says("import ensurepip, venv")) !== undefined;
  if (process.env.PYTHON) {
    if ((await says("")) === undefined)
      throw new Failure(
        `PYTHON is set to ${process.env.PYTHON}, which cannot be run`,
        "Set it to a Python, or unset it.",
      );
  } else if (!(await canMakeEnvironments())) {
    // Debian and Ubuntu keep these modules in a package of their own.
    await aptInstall("python3-venv", {
      missing: "the tests of client libraries need python3 with its modules venv and ensurepip, which is not installed",
      byHand: BY_HAND,
      progress,
    });
  }
  const version = await says("import sys; print('%d.%d.%d' % sys.version_info[:3])");
  const [major, minor] = version?.split(".").map(Number) ?? [];
  if (major < LEAST[0] || (major === LEAST[0] && minor < LEAST[1]))
    throw new Failure(`${find()} is Python ${version}: ${LEAST.join(".")} or newer is needed`, BY_HAND);
  if (!(await canMakeEnvironments()))
    throw new Failure(`${find() ?? "python3"} has no modules venv and ensurepip, or cannot be run`, BY_HAND);
  return { found: find(), version };
}
