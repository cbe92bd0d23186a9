// Times, numbers and names for people: local time on the page, UTC in the title.

import type { ComponentChildren } from "preact";

import type { Actor, ApiKey, RateLimit, Realm } from "../types/admin-api.js";

const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat("en", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const NUMBER = new Intl.NumberFormat("en");

/** In seconds. */
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

const COUNTRIES = new Intl.DisplayNames("en", { type: "region", fallback: "code" });

export const number = (value: number) => NUMBER.format(value);

/** `hh:mm:ss`, local. Rounded up, so that a promise about that time is never early. */
export const clock = (iso: string) => CLOCK.format(Math.ceil(Date.parse(iso) / 1000) * 1000);

/** `2 hours ago`, `in 3 days` */
function relativeText(iso: string) {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  const found = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  if (!found) return seconds <= 0 ? "just now" : "in a moment";
  const [unit, length] = found;
  return RELATIVE.format(Math.trunc(seconds / length), unit);
}

const utc = (iso: string) => `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;
const local = (iso: string) => DATE_TIME.format(new Date(iso));

interface Moment {
  at: string | null;
  /** What is said where there is none. */
  absent?: string;
}

/** The name of `NL`. Cloudflare has codes of its own, such as `T1`, that are no country's. */
export function countryName(code: string) {
  try {
    return COUNTRIES.of(code) ?? code;
  } catch {
    return code;
  }
}

const none = (absent: string) => <span class="faint">{absent}</span>;

/** Date and time. */
export function Time({ at, absent = "Never" }: Moment) {
  if (!at) return none(absent);
  return (
    <time dateTime={at} title={utc(at)}>
      {local(at)}
    </time>
  );
}

/** The time of day, with the exact time in the title. */
export const TimeOfDay = ({ at }: { at: string }) => (
  <time dateTime={at} title={`${local(at)} · ${utc(at)}`}>
    {TIME.format(new Date(at))}
  </time>
);

/** The day, in words. */
export const day = (iso: string) => DAY.format(new Date(iso));

/** How long ago or ahead, with the exact times in the title. */
export function Relative({ at, absent = "Never" }: Moment) {
  if (!at) return none(absent);
  return (
    <time dateTime={at} title={`${local(at)} · ${utc(at)}`}>
      {relativeText(at)}
    </time>
  );
}

/** The same of what has happened, also where the clock of this machine is behind the server's. */
export const Ago = ({ at }: { at: string }) => (
  <Relative at={new Date(Math.min(Date.parse(at), Date.now())).toISOString()} />
);

export type Window = keyof RateLimit;

/** Every window of a limit, the shortest first, and what follows a number of requests. */
export const WINDOWS: [Window, string][] = [
  ["perSecond", "a second"],
  ["perMinute", "a minute"],
  ["perHour", "an hour"],
  ["perDay", "a day"],
  ["perMonth", "a month"],
  ["total", "in total"],
  ["inFlight", "at the same time"],
];

/** `600 a minute, 10,000 a day`; null is no limit. Breaks between windows only. */
export const limits = (rate: RateLimit) =>
  WINDOWS.filter(([window]) => rate[window] != null)
    .map(([window, words]) => `${number(rate[window] ?? 0)} ${words}`.replaceAll(" ", "\u00a0"))
    .join(", ") || "No limit";

/** Whether a rate limit says nothing of its own. */
export const isInherited = (rate: RateLimit) => WINDOWS.every(([window]) => rate[window] == null);

/** The visible parts of a key: `kw_live_ab12…wxyz`. */
export const keyText = (key: Pick<ApiKey, "keyPrefix" | "last4">) => `${key.keyPrefix}…${key.last4}`;

/** `1 key`, `2 keys` */
export const plural = (count: number, word: string) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

/** How long to wait: `45 seconds`, `3 minutes`. */
export const duration = (seconds: number) =>
  seconds < 120 ? plural(seconds, "second") : plural(Math.ceil(seconds / 60), "minute");

/** JSON for people: what cannot be seen, or reorders the rest, is written as an escape. */
export const jsonText = (value: unknown, indent?: number) =>
  JSON.stringify(value, null, indent).replace(
    /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\u2028\u2029\u2800]/gu,
    (character) => `\\u{${Number(character.codePointAt(0)).toString(16)}}`,
  );

/** What somebody has typed, such as a name: whatever its script, it does not reorder what stands around it. */
export const Typed = ({ children }: { children: ComponentChildren }) => <bdi>{children}</bdi>;

/** Who did it: a member's address, a key's id; what was typed by somebody who was refused is marked as that. */
export function ActorName({ actor: { type, email, id } }: { actor: Actor }) {
  if (type === "unknown")
    return email ? (
      <>
        somebody as <Typed>{email}</Typed>
      </>
    ) : (
      <>somebody</>
    );
  if (type === "setupToken") return <>the set-up token</>;
  if (type === "recoveryToken") return <>the recovery token</>;
  if (type === "scanner") return <>a scanner of leaked keys</>;
  if (type === "system") return <>Keyward</>;
  return email ? <Typed>{email}</Typed> : <code>{id}</code>;
}

const BROWSERS: [string, RegExp][] = [
  ["Edge", /\bEdg(?:e|A|iOS)?\//],
  ["Opera", /\bOPR\//],
  ["Firefox", /\b(?:Firefox|FxiOS)\//],
  ["Chrome", /(?:Chrome|Chromium|CriOS)\//],
  ["Safari", /\bSafari\//],
];
const SYSTEMS: [string, RegExp][] = [
  ["Android", /\bAndroid\b/],
  ["iPhone", /\biPhone\b/],
  ["iPad", /\biPad\b/],
  ["Windows", /\bWindows\b/],
  ["macOS", /\bMacintosh\b/],
  ["ChromeOS", /\bCrOS\b/],
  ["Linux", /\bLinux\b/],
];

/** What a `User-Agent` says of a browser, in words: `Firefox on Linux`. Of other programs, what they say themselves. */
export function program(userAgent: string | null) {
  if (!userAgent) return "An unknown program";
  const browser = BROWSERS.find(([, pattern]) => pattern.test(userAgent))?.[0];
  const system = SYSTEMS.find(([, pattern]) => pattern.test(userAgent))?.[0];
  if (!browser) return userAgent;
  return system ? `${browser} on ${system}` : browser;
}

/** The id of a request, as answers and the log have it. */
export const REQUEST_ID = /^[0-9a-f]{32}$/;

/** Characters after its prefix that no name of a key has, and every key has. */
const LEAST_OF_KEY = 16;

/** The last four characters of a text that is a whole key, perhaps with what stands around it in a header or a file; else undefined. */
export function lastFourOfKey(text: string, realms: Realm[]) {
  const prefixes = realms.flatMap(({ keyPrefixes: { live, test }, imported }) => [
    ...(test ? [live, test] : [live]),
    ...(imported?.prefixes ?? []),
  ]);
  const words = text.split(/[\s"'`=:,;]+/);
  const isKey = (word: string) =>
    prefixes.some((prefix) => word.startsWith(prefix) && word.length >= prefix.length + LEAST_OF_KEY);
  return words.find(isKey)?.slice(-4);
}
