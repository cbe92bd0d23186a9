// Times and numbers for people: local time on the page, UTC in the title.

import { h } from "./dom.js";

/** @import { ApiKey, RateLimit } from "../types/admin-api.js" */

const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const NUMBER = new Intl.NumberFormat("en");

/** @type {[Intl.RelativeTimeFormatUnit, number][]} In seconds. */
const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** @param {number} value */
export const number = (value) => NUMBER.format(value);

/**
 * `hh:mm:ss`, local. Rounded up, so that a promise about that time is never early.
 * @param {string} iso
 */
export const clock = (iso) => CLOCK.format(Math.ceil(Date.parse(iso) / 1000) * 1000);

/**
 * `2 hours ago`, `in 3 days`
 * @param {string} iso
 */
function relativeText(iso) {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  const found = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  if (!found) return seconds <= 0 ? "just now" : "in a moment";
  const [unit, length] = found;
  return RELATIVE.format(Math.trunc(seconds / length), unit);
}

/** @param {string} iso */
const utc = (iso) => `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/**
 * Date and time, or `absent` when there is none.
 * @param {string | null} iso
 * @param {string} absent
 */
export function time(iso, absent = "Never") {
  if (!iso) return h("span", { class: "faint" }, absent);
  return h("time", { datetime: iso, title: utc(iso) }, DATE_TIME.format(new Date(iso)));
}

/**
 * How long ago or ahead, with the exact times in the title.
 * @param {string | null} iso
 * @param {string} absent
 */
export function relative(iso, absent = "Never") {
  if (!iso) return h("span", { class: "faint" }, absent);
  const title = `${DATE_TIME.format(new Date(iso))} · ${utc(iso)}`;
  return h("time", { datetime: iso, title }, relativeText(iso));
}

/**
 * The same of what has happened, also where the clock of this machine is behind the server's.
 * @param {string} iso
 */
export const ago = (iso) => relative(new Date(Math.min(Date.parse(iso), Date.now())).toISOString());

/**
 * `600 a minute, 10,000 a day`; null is no limit. Breaks between the two only.
 * @param {RateLimit} rate
 */
export function limits(rate) {
  const parts = [];
  if (rate.perMinute != null) parts.push(`${number(rate.perMinute)}\u00a0a\u00a0minute`);
  if (rate.perDay != null) parts.push(`${number(rate.perDay)}\u00a0a\u00a0day`);
  return parts.length ? parts.join(", ") : "No limit";
}

/**
 * The visible parts of a key: `kw_live_ab12…wxyz`.
 * @param {Pick<ApiKey, "keyPrefix" | "last4">} key
 */
export const keyText = (key) => `${key.keyPrefix}…${key.last4}`;

/**
 * `1 key`, `2 keys`
 * @param {number} count
 * @param {string} word
 */
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

/**
 * JSON for people: what cannot be seen, or reorders the rest, is written as an escape.
 * @param {unknown} value
 * @param {number} [indent]
 */
export const jsonText = (value, indent) =>
  JSON.stringify(value, null, indent).replace(
    /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\u2028\u2029\u2800]/gu,
    (character) => `\\u{${Number(character.codePointAt(0)).toString(16)}}`,
  );

/** @type {[string, RegExp][]} */
const BROWSERS = [
  ["Edge", /\bEdg(?:e|A|iOS)?\//],
  ["Opera", /\bOPR\//],
  ["Firefox", /\b(?:Firefox|FxiOS)\//],
  ["Chrome", /(?:Chrome|Chromium|CriOS)\//],
  ["Safari", /\bSafari\//],
];
/** @type {[string, RegExp][]} */
const SYSTEMS = [
  ["Android", /\bAndroid\b/],
  ["iPhone", /\biPhone\b/],
  ["iPad", /\biPad\b/],
  ["Windows", /\bWindows\b/],
  ["macOS", /\bMacintosh\b/],
  ["ChromeOS", /\bCrOS\b/],
  ["Linux", /\bLinux\b/],
];

/**
 * What a `User-Agent` says of a browser, in words: `Firefox on Linux`. Of other programs, what they say themselves.
 * @param {string | null} userAgent
 */
export function program(userAgent) {
  if (!userAgent) return "An unknown program";
  const browser = BROWSERS.find(([, pattern]) => pattern.test(userAgent))?.[0];
  const system = SYSTEMS.find(([, pattern]) => pattern.test(userAgent))?.[0];
  if (!browser) return userAgent;
  return system ? `${browser} on ${system}` : browser;
}

/**
 * How long to wait: `45 seconds`, `3 minutes`.
 * @param {number} seconds
 */
export function duration(seconds) {
  return seconds < 120 ? plural(seconds, "second") : plural(Math.ceil(seconds / 60), "minute");
}
