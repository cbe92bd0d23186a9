// What is stored, read past the Worker: for tests of what is kept, and of what must not be.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** @import { ObjectClass, StoredObject } from "../../../types/e2e.js" */

/**
 * Every file below a folder.
 * @param {string} folder
 */
function files(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}

/**
 * A file's bytes, if it is there: the runtime removes some of a database's at any time.
 * @param {string} path
 */
function bytes(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Every object's tables, read from copies of its SQLite files.
 * @param {string} persist
 * @returns {StoredObject[]}
 */
export function objects(persist) {
  return files(join(persist, "do")).flatMap((path) => {
    const [, className] = /-(KeyGate|Registry)\/[0-9a-f]{64}\.sqlite$/.exec(path) ?? [];
    if (className !== "KeyGate" && className !== "Registry") return [];
    return [{ className, id: basename(path, ".sqlite"), tables: tables(path) }];
  });
}

/** No runtime goes on writing for longer while its test waits. */
const SETTLED_WITHIN_MS = 30_000;

/**
 * A database's file and its log as both were at one moment: the runtime may move what is in the log into the file at any
 * time, and begin the log anew.
 * @param {string} path
 */
function settled(path) {
  const read = () => ["", "-wal"].map((suffix) => /** @type {const} */ ([suffix, bytes(path + suffix)]));
  const end = Date.now() + SETTLED_WITHIN_MS;
  for (let before = read(); ; ) {
    const now = read();
    if (now.every(([, content], i) => isSame(content, before[i][1]))) return now;
    if (Date.now() >= end) throw new Error(`${path} is written on and on`);
    before = now;
  }
}

/**
 * @param {Buffer | undefined} one
 * @param {Buffer | undefined} other
 */
const isSame = (one, other) => (one && other ? one.equals(other) : one === other);

/** @param {string} path */
function tables(path) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-sqlite-"));
  try {
    for (const [suffix, content] of settled(path))
      if (content) writeFileSync(join(folder, `copy.sqlite${suffix}`), content);
    const db = new DatabaseSync(join(folder, "copy.sqlite"));
    try {
      // _cf_… are the runtime's own.
      const names = db
        .prepare(
          "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB '_cf_*'",
        )
        .all();
      return Object.fromEntries(names.map(({ name }) => [name, db.prepare(`SELECT * FROM "${name}"`).all()]));
    } finally {
      db.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Runs statements on the database of every object of a class. While the runtime is dead only.
 * @param {string} persist
 * @param {ObjectClass} className
 * @param {string} statements
 */
export function alter(persist, className, statements) {
  const paths = files(join(persist, "do")).filter(
    (path) => path.includes(`-${className}/`) && /[0-9a-f]{64}\.sqlite$/.test(path),
  );
  for (const path of paths) {
    const db = new DatabaseSync(path);
    try {
      db.exec(statements);
    } finally {
      db.close();
    }
  }
}

/**
 * Files, of KV, objects, logs of databases and all, that have this text anywhere in their bytes.
 * @param {string} persist
 * @param {string} text
 */
export function grep(persist, text) {
  return files(persist).filter((path) => bytes(path)?.includes(text));
}
