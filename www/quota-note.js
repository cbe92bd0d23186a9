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
  const nearly = Object.entries(COUNTED).flatMap(([name, what]) => {
    const quota = quotas[name];
    return quota && quota.used >= quota.limit * NEARLY ? [{ what, ...quota }] : [];
  });
  if (nearly.length === 0) return null;
  const lines = nearly.map(({ used, limit, what }) => `${number(used)} of ${number(limit)} ${what}`);
  const isFull = nearly.some(({ used, limit }) => used >= limit);
  const verdict = isFull ? "There is no room for more" : "Nearly used up";
  const text = `${verdict}: ${lines.join("; ")}. The operator of this deployment can raise it.`;
  return h("p", { class: "warning", "data-testid": "quota-note" }, text);
}
