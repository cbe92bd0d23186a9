// The list of keys: search, filters, pages. The filters stand in the address, so that back, reload and
// a bookmark find them again.

import { get } from "../api.js";
import { button, fill, h, link } from "../dom.js";
import { alertRegion, problemAlert, select } from "../form.js";
import { keyText, limits, plural, relative } from "../format.js";
import { keyPage } from "../paths.js";
import { heading, rename, replace } from "../router.js";
import { may, mayWrite, realms } from "../session.js";
import { scopeChips, statusBadge, table, tableRow, tableRows } from "./parts.js";

/** @import { Child } from "../dom.js" */
/** @import { ApiKey, Realm } from "../../types/admin-api.js" */
/** @import { Address, View } from "../router.js" */

const PAGE = 50;
const TYPING_MS = 250;
/** Characters; the API takes no more. */
const LONGEST_SEARCH = 100;
/** Characters after its prefix that no name of a key has, and every key has. */
const LEAST_OF_KEY = 16;

const STATUSES = [
  ["", "Every status"],
  ["ACTIVE", "Active"],
  ["REVOKED", "Revoked"],
  ["EXPIRED", "Expired"],
];

const UNUSED = [
  ["", "Used or not"],
  ["7", "Not used for 7 days"],
  ["30", "Not used for 30 days"],
  ["90", "Not used for 90 days"],
  ["365", "Not used for a year"],
];

/**
 * @param {Address} address
 * @returns {Promise<View>}
 */
export async function keysView({ query }) {
  const known = await realms();
  const filter = {
    q: query.get("q") ?? "",
    status: query.get("status") ?? "",
    unusedDays: query.get("unusedDays") ?? "",
    realm: query.get("realm") ?? "",
  };
  const pastedIntoAddress = lastFourOfKey(filter.q, known);
  if (pastedIntoAddress !== undefined) {
    replace(`/keys?${new URLSearchParams({ q: pastedIntoAddress })}`);
    return { title: "Keys", node: null };
  }
  const mayCreate = known.some((realm) => may("create", realm));
  const columns = columnsFor(known);
  const titles = columns.map(({ title }) => title);
  const rows = tableRows();
  const list = table("API keys, newest first", titles, rows);
  const empty = h("div", { class: "empty", hidden: true });
  const count = h("p", { class: "faint", role: "status" });
  const alerts = alertRegion();
  const more = button("Load more", () => load(cursor), { hidden: true });
  /** @type {string | null} */
  let cursor = null;
  let turn = 0;
  let typing = 0;

  const search = h("input", {
    type: "search",
    name: "q",
    value: filter.q,
    placeholder: "Search name or key",
    "aria-label": "Search",
    oninput: () => {
      // The address at once: whoever goes on before the list is there comes back to what was typed.
      if (!note("q", searched(search.value))) return;
      clearTimeout(typing);
      typing = setTimeout(() => search.isConnected && load(null), TYPING_MS);
    },
  });
  const pasted = h("p", { class: "hint", role: "status" });

  /**
   * What to search for. Of a whole key it is the last four characters: it must not get into the address, nor to the server.
   * @param {string} text
   */
  function searched(text) {
    const last4 = lastFourOfKey(text, known);
    if (last4 !== undefined) search.value = last4;
    const said = "That was a whole key. It was not sent anywhere: these are the keys with its last four characters.";
    fill(pasted, last4 !== undefined && said);
    return (last4 ?? text.trim()).slice(0, LONGEST_SEARCH);
  }

  /**
   * @param {keyof typeof filter} name
   * @param {string} label
   * @param {string[][]} options
   */
  function filterSelect(name, label, options) {
    const control = select(name, options, filter[name], { "aria-label": label });
    control.addEventListener("change", () => narrow(name, control.value));
    return control;
  }

  /**
   * @param {keyof typeof filter} name
   * @param {string} value
   */
  function narrow(name, value) {
    if (note(name, value)) void load(null);
  }

  /**
   * Puts a filter into the address. Whether it has changed.
   * @param {keyof typeof filter} name
   * @param {string} value
   */
  function note(name, value) {
    if (filter[name] === value) return false;
    filter[name] = value;
    const set = Object.entries(filter).filter(([, text]) => text);
    rename(set.length ? `/keys?${new URLSearchParams(set)}` : "/keys");
    return true;
  }

  /** @param {string | null} after the cursor */
  async function load(after) {
    const mine = ++turn;
    list.setAttribute("aria-busy", "true");
    alerts.replaceChildren();
    try {
      const page = await get("/api-keys", { ...filter, limit: PAGE, cursor: after });
      if (mine === turn) show(page.apiKeys, page.nextCursor, after !== null);
    } catch (problem) {
      if (mine === turn) alerts.append(problemAlert(problem, () => load(after)));
    } finally {
      if (mine === turn) list.removeAttribute("aria-busy");
    }
  }

  /**
   * @param {ApiKey[]} keys
   * @param {string | null} next the cursor of the page after it
   * @param {boolean} append
   */
  function show(keys, next, append) {
    const added = keys.map((key) =>
      tableRow(
        titles,
        columns.map(({ cell }) => cell(key)),
        { "data-testid": "key-row", class: key.status !== "ACTIVE" && "spent" },
      ),
    );
    const moreHadFocus = document.activeElement === more;
    if (append) rows.append(...added);
    else fill(rows, added);
    cursor = next;
    more.hidden = cursor === null;
    if (moreHadFocus && more.hidden) added[0]?.querySelector("a")?.focus();
    const filtered = Object.values(filter).some(Boolean);
    const shown = rows.children.length;
    list.hidden = shown === 0;
    empty.hidden = shown > 0;
    if (shown === 0) fill(empty, filtered ? nothingFound() : noKeys(mayCreate));
    fill(count, shown === 0 ? "" : `${plural(shown, "key")}${cursor === null ? "" : " shown, there are more"}`);
  }

  const nothingFound = () => [h("p", null, "No key matches."), h("p", null, button("Clear the filters", clear))];

  function clear() {
    search.value = "";
    pasted.replaceChildren();
    for (const control of filters.querySelectorAll("select")) control.value = "";
    Object.assign(filter, { q: "", status: "", unusedDays: "", realm: "" });
    rename("/keys");
    search.focus();
    void load(null);
  }

  const filters = h(
    "div",
    { class: "filters", role: "search" },
    search,
    filterSelect("status", "Status", STATUSES),
    filterSelect("unusedDays", "Last use", UNUSED),
    known.length > 1 && filterSelect("realm", "Realm", [["", "Every realm"], ...known.map(({ id }) => [id, id])]),
  );

  await load(null);
  const node = [
    h(
      "div",
      { class: "title" },
      heading("Keys"),
      h(
        "div",
        { class: "actions" },
        mayWrite() && known.some((realm) => realm.link) && link("/links/new", "Create link", { class: "button" }),
        mayCreate && link("/keys/new", "Create key", { class: "button primary" }),
        mayWrite() && !mayCreate && h("p", { class: "hint" }, "Only owners can create keys."),
      ),
    ),
    filters,
    pasted,
    alerts,
    count,
    list,
    empty,
    h("div", { class: "more" }, more),
  ];
  return { title: "Keys", node };
}

/**
 * The last four characters of a text that is a whole key, perhaps with what stands around it in a header or a file; else undefined.
 * @param {string} text
 * @param {Realm[]} known
 */
function lastFourOfKey(text, known) {
  const prefixes = known.flatMap(({ keyPrefixes: { live, test } }) => (test ? [live, test] : [live]));
  const words = text.split(/[\s"'`=:,;]+/);
  const isKey = (/** @type {string} */ word) =>
    prefixes.some((prefix) => word.startsWith(prefix) && word.length >= prefix.length + LEAST_OF_KEY);
  return words.find(isKey)?.slice(-4);
}

/** @param {boolean} mayCreate */
function noKeys(mayCreate) {
  return [
    h("h2", null, "No keys yet"),
    h("p", null, "A key lets one client call the API, with the scopes and limits that you give it."),
    mayCreate && h("p", null, link("/keys/new", "Create the first key", { class: "button primary" })),
  ];
}

/**
 * @param {Realm[]} known
 * @returns {{ title: string, cell: (key: ApiKey) => Child }[]}
 */
function columnsFor(known) {
  return [
    { title: "Name", cell: nameCell },
    { title: "Scopes", cell: ({ scopes }) => scopeChips(scopes, 3) },
    { title: "Status", cell: statusBadge },
    ...(known.length > 1 ? [{ title: "Realm", cell: realmCell }] : []),
    { title: "Rate limit", cell: limitCell },
    { title: "Created", cell: ({ createdAt }) => relative(createdAt) },
    { title: "Last used", cell: ({ lastUsedAt }) => relative(lastUsedAt) },
    { title: "Expires", cell: ({ expiresAt }) => relative(expiresAt) },
  ];
}

const realmCell = (/** @type {ApiKey} */ { realm }) => realm;

const nameCell = (/** @type {ApiKey} */ key) => [
  link(keyPage(key.id), key.name, { class: "name" }),
  h(
    "div",
    null,
    h("code", { class: "faint" }, keyText(key)),
    key.testMode && h("span", { class: "badge" }, "test"),
    key.kind === "publishable" && h("span", { class: "badge" }, "publishable"),
    // Both of a rotation have the same name.
    key.rotatedTo !== null && h("span", { class: "badge" }, "replaced"),
    key.rotatedFrom !== null && h("span", { class: "badge" }, "replacement"),
  ),
];

/** @param {ApiKey} key */
function limitCell({ rateLimit, effectiveRateLimit }) {
  const inherited = rateLimit.perMinute === null && rateLimit.perDay === null;
  return [limits(effectiveRateLimit), inherited && h("div", { class: "faint" }, "inherited")];
}
