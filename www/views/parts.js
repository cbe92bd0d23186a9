// Small pieces that several views show.

import { announce, fill, h } from "../dom.js";
import { problemAlert } from "../form.js";

/** @import { Child, Props } from "../dom.js" */
/** @import { Actor, ApiKey, Tenant } from "../../types/admin-api.js" */

/** @type {Record<(ApiKey | Tenant)["status"], string>} */
const STATUS_TEXT = { ACTIVE: "Active", REVOKED: "Revoked", EXPIRED: "Expired", INACTIVE: "Inactive" };

/**
 * `Active`, in words and colour.
 * @param {{ status: (ApiKey | Tenant)["status"] }} thing
 */
export const statusBadge = ({ status }) =>
  h("span", { class: `badge ${status.toLowerCase()}` }, STATUS_TEXT[status] ?? status);

/**
 * Scopes, at most this many of them; wildcards stand out.
 * @param {string[]} scopes
 */
export function scopeChips(scopes, most = Infinity) {
  const shown = scopes.slice(0, most);
  const rest = scopes.slice(most);
  return h(
    "div",
    { class: "chips" },
    shown.map((scope) => h("code", { class: scope.endsWith("*") ? "chip wide" : "chip" }, scope)),
    rest.length > 0 && h("span", { class: "chip", title: rest.join(", ") }, `+${rest.length}`),
  );
}

/**
 * Who did it: a member's address, a key's id; what was typed by somebody who was refused is marked as that.
 * @param {Actor} actor
 */
export function actorName({ type, email, id }) {
  if (type === "unknown") return email ? `somebody as ${email}` : "somebody";
  if (type === "setupToken") return "the set-up token";
  if (type === "system") return "Keyward";
  return email ?? h("code", null, id);
}

/**
 * A list of terms and what they are; what is null or false is left out.
 * @param {([string, ...Child[]] | false | null | undefined)[]} all
 */
export function facts(...all) {
  const shown = all.map((fact) => {
    if (!fact) return null;
    const [term, ...value] = fact;
    return h("div", null, h("dt", null, term), h("dd", null, value));
  });
  return h("dl", { class: "facts" }, shown);
}

/**
 * A table whose rows become cards where there is no room. The roles keep it a table for screen readers
 * when style says that its parts are blocks. `rows` is filled by the caller, with `tableRow`.
 * @param {string} caption
 * @param {string[]} titles
 * @param {HTMLTableSectionElement} rows
 */
export function table(caption, titles, rows) {
  const head = titles.map((title) => h("th", { role: "columnheader", scope: "col" }, title));
  return h(
    "table",
    { role: "table", class: "cards" },
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    rows,
  );
}

/** The body of a `table`. */
export const tableRows = () => h("tbody", { role: "rowgroup" });

/**
 * A row of a `table`, its cells in the order of the titles.
 * @param {string[]} titles
 * @param {Child[]} cells
 * @param {Props} [props]
 */
export function tableRow(titles, cells, props) {
  const nodes = cells.map((cell, index) =>
    h("td", { role: "cell", "data-label": titles[index] }, h("div", null, cell)),
  );
  return h("tr", { role: "row", ...props }, nodes);
}

/**
 * For lists that are short enough to be read anew after each change: a function that does something
 * (null: it was called off), reads the list again and says what was done.
 * @param {HTMLElement} alerts
 * @param {() => Promise<void>} reload
 */
export function acting(alerts, reload) {
  return async (/** @type {() => Promise<unknown>} */ work, /** @type {string} */ done) => {
    alerts.replaceChildren();
    try {
      if ((await work()) === null) return;
      await reload();
      announce(done);
    } catch (problem) {
      fill(alerts, problemAlert(problem));
    }
  };
}
