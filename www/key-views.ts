// Which keys a list shows, as its address says: filters, order, page, and the views that have a name.

import type { KeySummary } from "../types/admin-api.js";
import type { KeyFilter } from "./queries.ts";
import type { Options } from "./ui/form.tsx";

const DAY_MS = 86_400_000;

/** What narrows, what it is called, and its values; those that come from a link have none. Last the order. */
export const FILTERS: [name: string, label: string, values?: Options][] = [
  [
    "status",
    "Status",
    [
      ["", "Any status"],
      ["ACTIVE", "Active"],
      ["PAUSED", "Paused"],
      ["REVOKED", "Revoked"],
      ["EXPIRED", "Expired"],
    ],
  ],
  [
    "unusedDays",
    "Last use",
    [
      ["", "Used or not"],
      ["7", "Unused for 7 days"],
      ["30", "Unused for 30 days"],
      ["90", "Unused for 90 days"],
      ["365", "Unused for a year"],
    ],
  ],
  ["scope", "Scope"],
  ["tag", "Tag"],
  ["createdBy", "Created by"],
  ["realm", "Realm"],
  [
    "mode",
    "Mode",
    [
      ["", "Live and test"],
      ["live", "Live"],
      ["test", "Test"],
    ],
  ],
  [
    "kind",
    "Kind",
    [
      ["", "Any kind"],
      ["secret", "Secret"],
      ["publishable", "Publishable"],
    ],
  ],
  ["expiresBefore", "Expires before"],
  ["rotating", "Rotating"],
  ["nearLimit", "Near limit"],
  [
    "sort",
    "Order",
    [
      ["", "Newest first"],
      ["-created", "Oldest first"],
      ["lastUsed", "Latest use first"],
      ["-lastUsed", "Longest unused first"],
      ["expires", "Next to expire first"],
      ["-expires", "Last to expire first"],
      ["name", "Name, A to Z"],
      ["-name", "Name, Z to A"],
    ],
  ],
];

const TRUE = "true";
/** What the views narrow; the rest goes on from one to the next, or is narrowed further. */
export const VIEWED = ["status", "expiresBefore", "unusedDays", "rotating", "nearLimit"] as const;

interface View {
  title: string;
  count: keyof KeySummary;
  /** `expiresBefore`: any time. */
  filter: KeyFilter;
}
const ALL: View = { title: "All", count: "total", filter: {} };
export const VIEWS: View[] = [
  ALL,
  { title: "Active", count: "active", filter: { status: "ACTIVE" } },
  { title: "Expiring", count: "expiring", filter: { status: "ACTIVE", expiresBefore: TRUE } },
  { title: "Unused", count: "unused", filter: { status: "ACTIVE", unusedDays: "90" } },
  { title: "Rotating", count: "rotating", filter: { rotating: TRUE } },
  { title: "Near limit", count: "nearLimit", filter: { nearLimit: TRUE } },
  { title: "Paused", count: "paused", filter: { status: "PAUSED" } },
  { title: "Revoked", count: "revoked", filter: { status: "REVOKED" } },
];

/** Whether that is what is narrowed. A link to those that expire may leave their status out. */
export const isView = (view: View, filter: KeyFilter) =>
  VIEWED.every((name) => {
    const [wanted = "", is = ""] = [view.filter[name], filter[name]];
    if (name === "expiresBefore") return (wanted === "") === (is === "");
    return wanted === is || (is === "" && view.filter.expiresBefore);
  });

const inMonth = () => new Date(Date.now() + 30 * DAY_MS).toISOString().replace(/\.\d+/, "");

/** Of the parameters, those that narrow nothing: the order, the page, and how many keys are before it. */
export const PLACES = ["sort", "cursor", "from"];
export const KNOWN = new Set(["q", ...FILTERS.map(([name]) => name), ...PLACES]);

/** What of it narrows. */
export const narrowing = (filter: KeyFilter): KeyFilter =>
  Object.fromEntries(Object.entries(filter).filter(([name]) => !PLACES.includes(name)));

export const isNarrowed = (filter: KeyFilter) => Object.keys(narrowing(filter)).length > 0;

export const addressOf = (filter: KeyFilter) => {
  const query = new URLSearchParams(filter).toString();
  return query ? `/keys?${query}` : "/keys";
};

/** What of it says something. */
export const set = (filter: KeyFilter): KeyFilter =>
  Object.fromEntries(Object.entries(filter).filter(([, text]) => text));

export const viewAddress = ({ filter }: View, more: KeyFilter = {}) =>
  addressOf(set({ ...more, ...filter, expiresBefore: filter.expiresBefore ? inMonth() : "" }));

/** The list that has exactly the keys that this counts. */
export const listOf = (count: keyof KeySummary) => viewAddress(VIEWS.find((one) => one.count === count) ?? ALL);

export const asked = ({ from: _, ...filter }: KeyFilter) => filter;
