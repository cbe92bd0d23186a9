// The log of the gate on this machine: each line with the time, kept over starts, bounded.

import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** A file that has become longer is kept as the one before, and a new one begun. */
const LONGEST = 5_000_000;

/** Where lines before those of `file` are. */
export const before = (file) => file.replace(/\.log$/, ".1.log");

/** Opens the log for lines to come: `{ write(line), tail }`, where `tail` has the last lines of this start. */
export function openLog(file, longest = LONGEST) {
  mkdirSync(dirname(file), { recursive: true });
  let descriptor = openSync(file, "a", 0o600);
  let length = statSync(file).size;
  const tail = [];
  const write = (line) => {
    if (length > longest) {
      closeSync(descriptor);
      renameSync(file, before(file));
      descriptor = openSync(file, "a", 0o600);
      length = 0;
    }
    length += writeSync(descriptor, `${new Date().toISOString()} ${line}\n`);
    tail.push(line);
    if (tail.length > 30) tail.shift();
  };
  return { write, tail };
}
