// The settings of a key as form controls, for creating one and for editing one.

import { fill, h } from "./dom.js";
import { choice, field, group, input, isChosen, localTime, select, textArea, wholeNumber } from "./form.js";
import { number } from "./format.js";
import { scopePicker } from "./scopes.js";

/** @import { ApiKey, RateLimit, Realm, TypedKeySettings, TypedNumber } from "../types/admin-api.js" */

const DAY_MS = 86_400_000;

const LIFETIMES = [
  ["", "Never"],
  ["7", "In 7 days"],
  ["30", "In 30 days"],
  ["90", "In 90 days"],
  ["365", "In a year"],
  ["date", "At a time of my choice"],
];

/** @typedef {keyof RateLimit} Window */
/** @type {[Window, string][]} */
const WINDOWS = [
  ["perMinute", "Requests a minute"],
  ["perDay", "Requests a day"],
];

/**
 * `{nodes, value()}`. Without `key` for a new one, else for an edit of it, which cannot change its kind.
 * `onlyNames`: what the key may do is for others to change.
 * @param {Realm | undefined} realm what the policy says; nothing, where it no longer names the key's realm
 * @param {ApiKey} [key]
 */
export function keySettings(realm, key, { onlyNames = false } = {}) {
  const name = input("name", { value: key?.name ?? "", "aria-required": "true", "data-focus": !key });
  // Nothing to pick from, in a realm without scopes.
  const catalogue = realm?.scopes ?? [];
  const hasScopes = catalogue.length > 0 || Boolean(key?.scopes.length);
  const scopes = hasScopes ? scopePicker(catalogue, key?.scopes) : { node: null, value: () => [] };
  const rateLimit = limitFields(key?.rateLimit, realm?.limits);
  const allowedIps = lines("allowedIps", key?.allowedIps);
  const allowedOrigins = lines("allowedOrigins", key?.allowedOrigins);
  const expiry = expiryFields(key?.expiresAt);
  const tags = input("tags", { value: (key?.tags ?? []).join(", ") });
  const publishable = choice(
    "radio",
    "kind",
    "publishable",
    "Publishable",
    "For web pages: works only on the routes that allow it, and from the origins listed here.",
  );
  const ownPrefix = realm?.keyPrefixes.test;
  const testMode = choice("checkbox", "testMode", "true", "Test key", testModeHint(ownPrefix, key), {
    checked: Boolean(key?.testMode),
    disabled: Boolean(key && ownPrefix),
  });
  const strict = choice(
    "checkbox",
    "strict",
    "true",
    "Strict",
    "Every request checks that the key is still valid: revoking it takes effect with the very next one. Takes a little longer.",
    { checked: Boolean(key?.strict) },
  );

  const originField = field("Allowed origins", allowedOrigins, "One per line, such as https://shop.example.com.");
  const isPublishable = () => (key ? key.kind === "publishable" : isChosen(publishable));
  const showOrigins = () => {
    originField.hidden = !isPublishable();
  };
  showOrigins();

  const kind = group(
    "kind",
    "Kind",
    choice("radio", "kind", "secret", "Secret", "For servers. Never put it into a web page or an app.", {
      checked: true,
    }),
    publishable,
  );
  kind.addEventListener("change", showOrigins);

  const rights = [
    !key && realm?.publishable && kind,
    (!key || isPublishable()) && originField,
    scopes.node,
    rateLimit.node,
    expiry.node,
    field(
      "Allowed addresses",
      allowedIps,
      "One address or range per line, such as 203.0.113.0/24. Leave blank to allow every address.",
    ),
    // A realm may be strict itself: then there is nothing to choose.
    group("testMode", "Mode", testMode, realm?.freshnessSeconds !== 0 && strict),
  ];
  const nodes = [
    field("Name", name, "What uses this key, so that you know what stops working when you revoke it."),
    onlyNames ? h("fieldset", { class: "fields", disabled: true }, rights) : rights,
    field("Tags", tags, "Separated by commas."),
  ];

  /** @returns {TypedKeySettings} */
  const value = () => ({
    name: name.value,
    scopes: scopes.value(),
    rateLimit: rateLimit.value(),
    allowedIps: linesOf(allowedIps),
    allowedOrigins: isPublishable() ? linesOf(allowedOrigins) : [],
    expiresAt: expiry.value(),
    tags: tags.value
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean),
    testMode: isChosen(testMode),
    strict: isChosen(strict),
    ...(!key && { kind: isPublishable() ? "publishable" : "secret" }),
  });

  return { nodes, value };
}

/**
 * @param {string | null | undefined} ownPrefix
 * @param {ApiKey | undefined} key
 */
function testModeHint(ownPrefix, key) {
  const what = "For testing: restricted as the policy says.";
  if (!ownPrefix) return what;
  return key ? `${what} Cannot be changed: its prefix says which it is.` : `${what} Begins with ${ownPrefix}.`;
}

/**
 * What an edit changes: the fields of `after` that differ from the key.
 * @param {ApiKey} key
 * @param {TypedKeySettings} after
 * @returns {TypedKeySettings}
 */
export function changes(key, after) {
  // In the order in which the form gives them.
  const { perMinute = null, perDay = null } = key.rateLimit ?? {};
  const before = new Map(Object.entries({ ...key, rateLimit: { perMinute, perDay } }));
  return Object.fromEntries(
    Object.entries(after).filter(([name, value]) => comparable(value) !== comparable(before.get(name))),
  );
}

// Lists of a key are sets: their order says nothing.
const comparable = (/** @type {unknown} */ value) =>
  JSON.stringify(Array.isArray(value) ? [...value].sort() : (value ?? null));

/**
 * A select of realms, the first one chosen; or nothing where there is only one.
 * @param {Realm[]} realms
 * @param {(realm: Realm) => void} onchange
 */
export function realmSelect(realms, onchange) {
  if (realms.length < 2) return null;
  const options = realms.map(({ id }) => [id, id]);
  const control = select("realm", options, realms[0]?.id);
  control.addEventListener("change", () => {
    const chosen = realms.find(({ id }) => id === control.value);
    if (chosen) onchange(chosen);
  });
  return field("Realm", control, "The API that the key is for.");
}

/**
 * `{node, value()}` for the limits of a key or tenant; with the realm's limits, says what blank means.
 * @param {RateLimit} [own]
 * @param {Realm["limits"]} [limits]
 */
export function limitFields(own, limits) {
  const limitInput = (/** @type {Window} */ window) =>
    input(`rateLimit.${window}`, { inputmode: "numeric", value: String(own?.[window] ?? "") });
  const inputs = { perMinute: limitInput("perMinute"), perDay: limitInput("perDay") };
  const fields = WINDOWS.map(([window, label]) => field(label, inputs[window], limits && limitHint(limits, window)));
  const node = group(
    "rateLimit",
    "Rate limit",
    h("p", { class: "hint" }, "Leave blank to inherit."),
    h("div", { class: "pair" }, fields),
  );
  const value = () => ({ perMinute: limitValue(inputs.perMinute), perDay: limitValue(inputs.perDay) });
  return { node, value };
}

/**
 * @param {Realm["limits"]} limits
 * @param {Window} window
 */
function limitHint(limits, window) {
  const inherited = limits.inherited[window];
  const most = limits.maximum[window];
  return [
    `Inherited: ${inherited == null ? "no limit" : number(inherited)}.`,
    most != null && `At most ${number(most)}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

/**
 * @param {HTMLInputElement} input
 * @returns {TypedNumber}
 */
function limitValue({ value }) {
  const text = value.trim();
  return text === "" ? null : wholeNumber(text);
}

/**
 * @param {string} name
 * @param {string[]} values
 */
const lines = (name, values = []) => textArea(name, { rows: "2", value: values.join("\n") });
/** @param {HTMLTextAreaElement} area */
const linesOf = ({ value }) =>
  value
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

/** @param {string | null | undefined} expiresAt */
function expiryFields(expiresAt) {
  const when = localTime("expiresAt", "Time of expiry", expiresAt);
  const original = when.value;
  const lifetime = select("lifetime", LIFETIMES, expiresAt ? "date" : "", { onchange: show, "aria-label": "Expires" });
  const hint = h("p", { class: "hint" });
  /** @type {string | null} */
  let preset = null;

  function show() {
    when.hidden = lifetime.value !== "date";
    // Counted from the choice, so that a form that is sent twice says the same.
    preset = lifetime.value && when.hidden ? wholeSeconds(Date.now() + Number(lifetime.value) * DAY_MS) : null;
    fill(
      hint,
      when.hidden ? "Refused from that moment on." : "In your local time, to the second. Refused from that moment on.",
    );
  }

  show();
  return {
    node: group("expiresAt", "Expires", h("div", { class: "pair" }, lifetime, when), hint),
    value() {
      if (when.hidden) return preset;
      if (expiresAt && when.value === original) return expiresAt;
      // An empty time goes to the server as it is, which says what is wrong with it.
      return when.value && wholeSeconds(new Date(when.value).getTime());
    },
  };
}

const wholeSeconds = (/** @type {number} */ time) => new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
