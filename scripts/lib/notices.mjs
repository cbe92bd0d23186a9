// The licences of others' code that a release contains, whose texts have to go along with it.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { put, root } from "./places.mjs";
import { Failure, output } from "./progress.mjs";

/** The crates of a release, and the packages in its page. */
const CRATES = ["keyward", "keyward-check"];
const PACKAGES = ["preact"];

/** @typedef {{ name: string, version: string, license: string, manifest_path: string, source: string | null, id: string }} Crate */

/** The notices: each text once, below the names of those that it is of. */
export async function notices() {
  const metadata = await output(
    "cargo",
    ["metadata", "--locked", "--format-version", "1", "--filter-platform", "wasm32-unknown-unknown"],
    { cwd: root },
  );
  if (!metadata) throw new Failure("cargo metadata failed", "Run it to see why.");
  const { packages, resolve } = JSON.parse(metadata);
  const crates = built(packages, resolve.nodes);
  const others = [
    ...crates.map((crate) => ({ ...crate, folder: dirname(crate.manifest_path) })),
    ...PACKAGES.map((name) => {
      const folder = join(root, "node_modules", name);
      return { ...JSON.parse(readFileSync(join(folder, "package.json"), "utf8")), folder };
    }),
  ];
  /** @type {Map<string, string[]>} */
  const names = new Map();
  for (const { name, version, license, folder } of others) {
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    if (!files.length)
      throw new Failure(`${name} ${version} has no file with its licence`, "Do without it, or ask its authors.");
    for (const file of files.sort()) {
      const text = readFileSync(join(folder, file), "utf8").trim();
      names.set(text, [...(names.get(text) ?? []), `${name} ${version} (${license})`]);
    }
  }
  const parts = [...names].map(([text, of]) => `${[...new Set(of)].sort().join("\n")}\n\n${text}\n`);
  return `Keyward contains code of others, under these licences.\n\n${parts.sort().join(`\n${"-".repeat(80)}\n\n`)}`;
}

/**
 * Others' crates that are compiled into a release.
 * @param {Crate[]} packages
 * @param {{ id: string, deps: { pkg: string, dep_kinds: { kind: string | null }[] }[] }[]} nodes
 */
function built(packages, nodes) {
  const depsOf = new Map(nodes.map(({ id, deps }) => [id, deps]));
  const reached = packages.filter(({ name }) => CRATES.includes(name)).map(({ id }) => id);
  for (const id of reached)
    for (const { pkg, dep_kinds: kinds } of depsOf.get(id) ?? [])
      if (kinds.some(({ kind }) => kind === null) && !reached.includes(pkg)) reached.push(pkg);
  return packages.filter(({ id, source }) => source && reached.includes(id));
}

/** Writes them where releases and the npm package take them from. */
export const putNotices = async () => put("build/THIRD-PARTY-NOTICES", await notices());
