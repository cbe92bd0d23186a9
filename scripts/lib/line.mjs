// Processes of one folder that stand in line, by Lamport's bakery algorithm ("A New Solution of Dijkstra's Concurrent
// Programming Problem", 1974). Each place in the line is a file with a name that nobody else uses. So whoever removes what a
// process has left that was killed cannot remove the place of another one.

import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { codeOf } from "./progress.mjs";

/** @typedef {{ name: string, pid: number }} Place Its name, a file's, and whose it is. */

/** Names of places sort as their numbers do. */
const DIGITS = 12;
/** How a name begins before it has a number. */
const ARRIVING = "arriving";

/** @param {Place} place */
const isArriving = ({ name }) => name.startsWith(ARRIVING);

/** @param {number} pid */
function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

export class Line {
  /** @param {string} folder where the places are */
  constructor(folder) {
    this.folder = folder;
  }

  /**
   * Takes the place at the end of the line, until `leave` or until the process ends.
   * @param {string} text for those who come later
   * @param {number} pid the process
   * @returns {Place}
   */
  join(text, pid = process.pid) {
    mkdirSync(this.folder, { recursive: true });
    const own = `${randomUUID()}.${pid}`;
    // Before it looks at the others: who comes at the same time waits until it has a number.
    const arriving = this.file({ name: `${ARRIVING}.${own}`, pid });
    writeFileSync(arriving, text);
    const last = Math.max(0, ...this.#all().map(({ name }) => Number.parseInt(name, 10) || 0));
    const place = { name: `${String(last + 1).padStart(DIGITS, "0")}.${own}`, pid };
    renameSync(arriving, this.file(place));
    return place;
  }

  /** @param {Place} place */
  leave(place) {
    rmSync(this.file(place), { force: true });
  }

  /**
   * Those who come before this place, the first one first; or somebody who has not got a number yet, and may come before it.
   * @param {Place} place
   */
  before(place) {
    const arriving = this.#all().filter(isArriving);
    // Only now: who is not arriving any more has a number by this time.
    return arriving.length > 0 ? arriving : this.#all().filter(({ name }) => name < place.name);
  }

  /** Who is first in the line. */
  first() {
    return this.#all().find((place) => !isArriving(place));
  }

  /**
   * What somebody has said who stands in the line; empty if it has just left.
   * @param {Place} place
   */
  text(place) {
    try {
      return readFileSync(this.file(place), "utf8");
    } catch (error) {
      if (codeOf(error) === "ENOENT") return "";
      throw error;
    }
  }

  /** @param {Place} place */
  file = ({ name }) => join(this.folder, name);

  /** All places of processes that run, in their order. */
  #all() {
    return this.#names()
      .map((name) => ({ name, pid: Number(name.slice(name.lastIndexOf(".") + 1)) }))
      .filter((place) => {
        const lives = isAlive(place.pid);
        if (!lives) this.leave(place);
        return lives;
      });
  }

  #names() {
    try {
      return readdirSync(this.folder).sort();
    } catch (error) {
      if (codeOf(error) === "ENOENT") return [];
      throw error;
    }
  }
}
