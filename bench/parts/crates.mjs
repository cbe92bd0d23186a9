// What the pure parts take, compiled for this machine instead of wasm: Criterion runs the benches of the crates.

import { globSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { logs, root } from "../../scripts/lib/places.mjs";
import { run as runCommand } from "../../scripts/lib/progress.mjs";
import { markdown } from "../lib/report.mjs";

const FOLDER = join(root, "target/criterion");
const CRATES = ["keyward-core", "keyward-gate", "keyward-limits"];

export async function run() {
  rmSync(FOLDER, { recursive: true, force: true });
  const packages = CRATES.flatMap((name) => ["-p", name]);
  await runCommand("cargo", ["bench", "--locked", ...packages, "--bench", "*"], {
    cwd: root,
    what: "the crates' benches",
    log: join(logs, "bench-crates.log"),
  });
  const results = globSync(join(FOLDER, "**/new/estimates.json")).map((file) => {
    const { median } = JSON.parse(readFileSync(file, "utf8"));
    const { full_id } = JSON.parse(readFileSync(join(file, "../benchmark.json"), "utf8"));
    const { lower_bound, upper_bound } = median.confidence_interval;
    return { name: full_id, ns: median.point_estimate, spread: [lower_bound, upper_bound] };
  });
  return { results: results.sort((a, b) => a.name.localeCompare(b.name)) };
}

/** @param {Awaited<ReturnType<typeof run>>} measured */
export const table = ({ results }) =>
  markdown(
    ["pure part", "ns", "95 % confidence"],
    results.map(({ name, ns, spread }) => [name, ns.toFixed(0), spread.map((one) => one.toFixed(0)).join(" to ")]),
  );
