// The list of keys: search, filters, pages. The filters stand in the address, so that back, reload and
// a bookmark find them again.

import { get } from "../api.js";
import { button, fill, h, link } from "../dom.js";
import { alertRegion, problemAlert, select } from "../form.js";
import { keyText, limits, plural, relative } from "../format.js";
import { heading, rename } from "../router.js";
import { may, mayWrite, realms } from "../session.js";
import { scopeChips, statusBadge, table, tableRow, tableRows } from "./parts.js";

const PAGE = 50;

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

export async function keysView({ query }) {
  const known = await realms();
  const filter = Object.fromEntries(
    ["q", "status", "unusedDays", "realm"].map((name) => [name, query.get(name) ?? ""]),
  );
  const mayCreate = known.some((realm) => may("create", realm));
  const columns = columnsFor(known);
  const titles = columns.map(({ title }) => title);
  const rows = tableRows();
  const list = table("API keys, newest first", titles, rows);
  const empty = h("div", { class: "empty", hidden: true });
  const count = h("p", { class: "faint", role: "status" });
  const alerts = alertRegion();
  const more = button("Load more", () => load(cursor), { hidden: true });
  let cursor = null;
  let turn = 0;

  const search = h("input", {
    type: "search",
    name: "q",
    value: filter.q,
    placeholder: "Search name or key",
    maxlength: "100",
    "aria-label": "Search",
    oninput: ({ target }) => {
      clearTimeout(search.timer);
      search.timer = setTimeout(() => narrow("q", target.value.trim()), 250);
    },
  });
  const filterSelect = (name, label, options) =>
    select(name, options, filter[name], { "aria-label": label, onchange: ({ target }) => narrow(name, target.value) });

  function narrow(name, value) {
    if (filter[name] === value) return;
    filter[name] = value;
    const set = Object.entries(filter).filter(([, text]) => text);
    rename(set.length ? `/keys?${new URLSearchParams(set)}` : "/keys");
    void load(null);
  }

  async function load(after) {
    const mine = ++turn;
    list.setAttribute("aria-busy", "true");
    alerts.replaceChildren();
    try {
      const page = await get("/api-keys", { ...filter, limit: PAGE, cursor: after });
      if (mine === turn) show(page, after !== null);
    } catch (problem) {
      if (mine === turn) alerts.append(problemAlert(problem, () => load(after)));
    } finally {
      if (mine === turn) list.removeAttribute("aria-busy");
    }
  }

  function show(page, append) {
    const added = page.apiKeys.map((key) =>
      tableRow(
        titles,
        columns.map(({ cell }) => cell(key)),
        { "data-testid": "key-row", class: key.status !== "ACTIVE" && "spent" },
      ),
    );
    const moreHadFocus = document.activeElement === more;
    if (append) rows.append(...added);
    else fill(rows, added);
    cursor = page.nextCursor ?? null;
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
    for (const control of filters.querySelectorAll("input, select")) control.value = "";
    for (const name of Object.keys(filter)) filter[name] = "";
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
        mayWrite() && !mayCreate && h("p", { class: "hint" }, "Creating keys is for owners."),
      ),
    ),
    filters,
    alerts,
    count,
    list,
    empty,
    h("div", { class: "more" }, more),
  ];
  return { title: "Keys", node };
}

function noKeys(mayCreate) {
  return [
    h("h2", null, "No keys yet"),
    h("p", null, "A key lets one client call the API, with the scopes and limits that you give it."),
    mayCreate && h("p", null, link("/keys/new", "Create the first key", { class: "button primary" })),
  ];
}

function columnsFor(known) {
  const columns = [
    { title: "Name", cell: nameCell },
    { title: "Scopes", cell: (key) => scopeChips(key.scopes, 3) },
    { title: "Status", cell: statusBadge },
    { title: "Realm", cell: (key) => key.realm, only: known.length > 1 },
    { title: "Rate limit", cell: limitCell },
    { title: "Created", cell: (key) => relative(key.createdAt) },
    { title: "Last used", cell: (key) => relative(key.lastUsedAt) },
    { title: "Expires", cell: (key) => relative(key.expiresAt) },
  ];
  return columns.filter(({ only }) => only !== false);
}

const nameCell = (key) => [
  link(`/keys/${encodeURIComponent(key.id)}`, key.name, { class: "name" }),
  h(
    "div",
    null,
    h("code", { class: "faint" }, keyText(key)),
    key.testMode && h("span", { class: "badge" }, "test"),
    key.kind === "publishable" && h("span", { class: "badge" }, "publishable"),
  ),
];

function limitCell(key) {
  const inherited = key.rateLimit?.perMinute == null && key.rateLimit?.perDay == null;
  return [limits(key.effectiveRateLimit), inherited && h("div", { class: "faint" }, "inherited")];
}
