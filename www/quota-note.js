// What of the tenant's quotas is nearly used up: a line where something is made.

import { get } from "./api.js";
import { h } from "./dom.js";
import { number } from "./format.js";

const NEARLY = 0.8;

/** What each quota counts; those of which people make something on this page. */
const COUNTED = {
  keys: "keys that are neither revoked nor expired",
  keyBytes: "bytes of what is set on keys",
  auditEntries: "entries of the audit",
};

/** A line for each of them that is nearly used up; null if there is none. */
export async function quotaNote() {
  const { quotas } = await get("/quotas");
  const lines = Object.entries(COUNTED)
    .map(([name, what]) => ({ what, ...quotas[name] }))
    .filter(({ used, limit }) => used >= limit * NEARLY)
    .map(({ used, limit, what }) => `${number(used)} of ${number(limit)} ${what}`);
  if (lines.length === 0) return null;
  const isFull = Object.keys(COUNTED).some((name) => quotas[name].used >= quotas[name].limit);
  const what = isFull ? "There is no room for more" : "Nearly used up";
  const text = `${what}: ${lines.join("; ")}. The operator of this deployment can raise it.`;
  return h("p", { class: "warning", "data-testid": "quota-note" }, text);
}
