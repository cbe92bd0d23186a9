// Keys and their records in numbers that nobody would want to make through the admin API.

import { createHash, createHmac, randomInt } from "node:crypto";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM = 30;
const CHECK = 6;

/**
 * A key of the format in `bench/keyward.toml`, with its keyed check.
 * @param {string} secret the deployment's
 */
export function newKey(secret) {
  const random = Array.from({ length: RANDOM }, () => BASE62[randomInt(62)]).join("");
  const key = `kw_live_${random}`;
  let number = createHmac("sha256", secret).update(`keyward key check 1\0${key}`).digest().readBigUInt64BE();
  let check = "";
  for (; check.length < CHECK; number /= 62n) check += BASE62[Number(number % 62n)];
  return key + check;
}

/** Under which it is stored. */
export const hashOf = (/** @type {string} */ key) => `sha256:${createHash("sha256").update(key).digest("hex")}`;
