// Fails if files of a crate, or of the admin page, depend on each other in a circle: arrows run one way, so that each
// file can be read with those below it alone. An arrow is a path that begins with `crate::`, `super::` or `self::`; that a module declares
// another one with `mod` is none, so a file may use what its parent defines only if the parent uses nothing of its. Of the
// page, an arrow is an import, be it of a type.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

import { root } from "./lib/places.mjs";
import { Failure, runMain } from "./lib/progress.mjs";

/**
 * The files of a crate by the path of their module: `a::b` for src/a/b.rs and src/a/b/mod.rs.
 * @param {string} src
 */
function modulesOf(src) {
  /** @type {Map<string, string>} */
  const modules = new Map();
  for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith(".rs")) continue;
    const file = join(entry.parentPath, entry.name);
    const path = relative(src, file)
      .replace(/\.rs$/, "")
      .replace(/(^|\/)(mod|lib|main)$/, "");
    modules.set(path.split("/").join("::"), file);
  }
  return modules;
}

/** Rust without comments, texts and tests. */
const codeOf = (/** @type {string} */ text) =>
  text
    .replace(/\/\/.*$/gm, "")
    .replace(/"(?:[^"\\]|\\.)*"/gs, '""')
    .replace(/#\[cfg\(test\)\]\s*mod \w+ \{[\s\S]*$/m, "");

/**
 * Every path that a text names, with the groups of `use a::{b, c::d}` written out.
 * @param {string} code
 */
function* pathsIn(code) {
  const starts = /\b(?:crate|super|self)(?=::)/g;
  for (let match = starts.exec(code); match; match = starts.exec(code)) {
    yield* expand(code, match.index)[0];
  }
}

/**
 * The paths that begin at `at`, and where they end.
 * @param {string} code
 * @param {number} at
 * @returns {[string[][], number]}
 */
function expand(code, at) {
  /** @type {string[]} */
  const names = [];
  let end = at;
  for (;;) {
    const [name] = code.slice(end).match(/^\s*\w+/) ?? [""];
    if (name) {
      names.push(name.trim());
      end += name.length;
    } else if (/^\s*\{/.test(code.slice(end))) {
      /** @type {string[][]} */
      const all = [];
      end = code.indexOf("{", end) + 1;
      while (!/^\s*\}/.test(code.slice(end)) && end < code.length) {
        const [inner, next] = expand(code, end);
        all.push(...inner.map((more) => [...names, ...more]));
        end = next === end ? end + 1 : next;
        const [comma] = code.slice(end).match(/^\s*,/) ?? [""];
        end += comma.length;
      }
      return [all, code.indexOf("}", end) + 1];
    } else {
      return [[names], end];
    }
    const [separator] = code.slice(end).match(/^\s*::/) ?? [""];
    if (!separator) return [[names], end];
    end += separator.length;
  }
}

/**
 * The module, of those that there are, which a path leads to.
 * @param {string[]} path
 * @param {string} from
 * @param {Map<string, string>} modules
 */
function target(path, from, modules) {
  let base = from === "" ? [] : from.split("::");
  const rest = [...path];
  if (rest[0] === "crate") {
    base = [];
    rest.shift();
  } else {
    if (rest[0] === "self") rest.shift();
    while (rest[0] === "super") {
      base = base.slice(0, -1);
      rest.shift();
    }
  }
  let found = base.join("::");
  for (const name of rest) {
    const next = found === "" ? name : `${found}::${name}`;
    if (!modules.has(next)) break;
    found = next;
  }
  return found;
}

/**
 * Circles, each as the files that take part: Tarjan's strongly connected components.
 * @param {Map<string, Set<string>>} arrows
 */
function circlesIn(arrows) {
  /** @type {string[][]} */
  const circles = [];
  /** @type {Map<string, { index: number, low: number, isOpen: boolean }>} */
  const seen = new Map();
  /** @type {string[]} */
  const stack = [];
  const visit = (/** @type {string} */ from) => {
    const state = { index: seen.size, low: seen.size, isOpen: true };
    seen.set(from, state);
    stack.push(from);
    for (const to of arrows.get(from) ?? []) {
      const known = seen.get(to);
      if (!known) state.low = Math.min(state.low, visit(to).low);
      else if (known.isOpen) state.low = Math.min(state.low, known.index);
    }
    if (state.low === state.index) {
      const members = stack.splice(stack.indexOf(from));
      for (const member of members) {
        const its = seen.get(member);
        if (its) its.isOpen = false;
      }
      if (members.length > 1) circles.push(members);
    }
    return state;
  };
  for (const from of arrows.keys()) if (!seen.has(from)) visit(from);
  return circles;
}

/** Each crate's folder of sources. */
const sources = () => [
  join(root, "src"),
  join(root, "fuzz/src"),
  ...readdirSync(join(root, "crates")).map((name) => join(root, "crates", name, "src")),
];

/**
 * What is wrong with the circles of these arrows, each named by its file.
 * @param {Map<string, Set<string>>} arrows
 * @param {(name: string) => string} fileOf
 */
const linesOf = (arrows, fileOf) =>
  circlesIn(arrows).map((members) => {
    const lines = members.map((from) => {
      const within = [...(arrows.get(from) ?? [])].filter((to) => members.includes(to));
      return `  ${fileOf(from)} uses ${within.join(", ")}`;
    });
    return `a circle of ${members.length} files:\n${lines.sort().join("\n")}`;
  });

/** Which file of the page imports which. */
function arrowsOfPage() {
  /** @type {Map<string, Set<string>>} */
  const arrows = new Map();
  for (const entry of readdirSync(join(root, "www"), { recursive: true, withFileTypes: true })) {
    if (!/\.tsx?$/.test(entry.name)) continue;
    const file = join(entry.parentPath, entry.name);
    const imports = readFileSync(file, "utf8").matchAll(/^(?:import|export|\} from) .*?"(\.[^"]+\.tsx?)";$/gm);
    arrows.set(relative(root, file), new Set([...imports].map(([, to]) => relative(root, join(dirname(file), to)))));
  }
  return arrows;
}

await runMain(() => {
  const found = sources().flatMap((src) => {
    const modules = modulesOf(src);
    /** @type {Map<string, Set<string>>} */
    const arrows = new Map();
    for (const [from, file] of modules) {
      const to = [...pathsIn(codeOf(readFileSync(file, "utf8")))].map((path) => target(path, from, modules));
      arrows.set(from, new Set(to.filter((one) => one !== from && one !== "")));
    }
    return linesOf(arrows, (name) => relative(root, modules.get(name) ?? ""));
  });
  found.push(...linesOf(arrowsOfPage(), (name) => name));
  if (found.length > 0) {
    throw new Failure(
      `files depend on each other in ${found.length === 1 ? "a circle" : `${found.length} circles`}`,
      `${found.join("\n")}\nMove what both need into a file that uses neither.`,
    );
  }
});
