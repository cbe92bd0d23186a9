// The project's version, and what CHANGELOG.md says of one.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "./places.mjs";
import { Failure } from "./progress.mjs";

const read = (/** @type {string} */ file) => readFileSync(join(root, file), "utf8");

/** The version, which each file that has one has to agree on. */
export function version() {
  /** @type {Record<string, string | undefined>} */
  const versions = {
    "Cargo.toml": read("Cargo.toml").match(/^version = "(.+)"$/m)?.[1],
    "tools/Cargo.toml": read("tools/Cargo.toml").match(/^version = "(.+)"$/m)?.[1],
    "package.json": JSON.parse(read("package.json")).version,
    "openapi.json": JSON.parse(read("openapi.json")).info.version,
    "README.md": read("README.md").match(/`keyward-(.+)\.tgz`/)?.[1],
  };
  const [first] = Object.values(versions);
  if (!first || Object.values(versions).some((each) => each !== first)) {
    const said = Object.entries(versions).map(([file, each]) => `${file} says ${each}`);
    throw new Failure(`the files do not agree on the version: ${said.join(", ")}`, "RELEASING.md says how to set it.");
  }
  const status = read("README.md").match(/^\*\*Status\*\*: version (\S+),/m)?.[1];
  if (!first.startsWith(`${status}.`))
    throw new Failure(`README.md says version ${status} under Status, and the files ${first}`, "Change it there.");
  return first;
}

/**
 * What a changelog says of a version: the text below its heading.
 * @param {string} changelog
 * @param {string} wanted
 */
export function notesOf(changelog, wanted) {
  const sections = changelog.split(/^## /m).slice(1);
  const found = sections.find((section) => section.match(/^\[?([^\]\s]+)/)?.[1] === wanted);
  const text = found?.slice(found.indexOf("\n")).trim();
  if (!text) {
    throw new Failure(
      `CHANGELOG.md says nothing of ${wanted}`,
      `Rename "## Unreleased" to "## ${wanted} - YYYY-MM-DD", and put a new one above it.`,
    );
  }
  return text;
}
