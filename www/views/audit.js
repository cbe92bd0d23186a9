// The audit log: who did what, newest first, and whether the chain of entries is whole.

import { get } from "../api.js";
import { button, fill, h } from "../dom.js";
import { alertRegion, problemAlert } from "../form.js";
import { jsonText, number, time } from "../format.js";
import { heading } from "../router.js";
import { actorName, table, tableRow, tableRows } from "./parts.js";

/** @import { AuditEntry, AuditVerdict } from "../../types/admin-api.js" */

const PAGE = 50;
const COLUMNS = ["Time", "Who", "Action", "On", "Change", "Address"];

export async function auditView() {
  const rows = tableRows();
  const alerts = alertRegion();
  const verdict = h("p", { role: "status", "data-testid": "verdict" });
  const more = button("Load more", () => load(cursor), { hidden: true });
  /** @type {string | null} */
  let cursor = null;
  let isLoading = false;

  /** @param {string | null} after the cursor */
  async function load(after) {
    if (isLoading) return;
    isLoading = true;
    alerts.replaceChildren();
    try {
      const page = await get("/audit", { limit: PAGE, cursor: after });
      rows.append(...page.entries.map(row));
      cursor = page.nextCursor ?? null;
      more.hidden = cursor === null;
    } catch (problem) {
      alerts.append(problemAlert(problem, () => load(after)));
    } finally {
      isLoading = false;
    }
  }

  async function verify() {
    fill(verdict, "Checking every entry …");
    try {
      let answer = await get("/audit/verify");
      while (answer.next !== undefined) answer = await get("/audit/verify", { from: answer.next });
      verdict.className = answer.ok ? "good" : "bad";
      fill(
        verdict,
        answer.ok
          ? `The chain is whole: ${whole(answer)}, none missing or changed.`
          : `The chain is broken at entry ${number(answer.brokenAt ?? answer.entries)}.`,
      );
    } catch (problem) {
      verdict.replaceChildren();
      fill(alerts, problemAlert(problem, verify));
    }
  }

  await load(null);
  const node = [
    h("div", { class: "title" }, heading("Audit"), button("Verify the chain", verify)),
    h(
      "p",
      { class: "hint" },
      "Each entry holds the hash of the one before, so that none can be changed or left out unseen.",
    ),
    verdict,
    alerts,
    table("Audit entries, newest first", COLUMNS, rows),
    h("div", { class: "more" }, more),
  ];
  return { title: "Audit", node };
}

/** @param {AuditVerdict} verdict */
const whole = ({ entries, checkpoint }) =>
  checkpoint
    ? `entries ${number(checkpoint.seq + 1)} to ${number(entries)}, after what was cut off for its age`
    : `${number(entries)} entries`;

/** @param {AuditEntry} entry */
function row(entry) {
  const cells = [
    time(entry.time),
    actorName(entry.actor),
    h("code", null, entry.action),
    h("code", null, entry.target),
    change(entry),
    entry.address,
  ];
  return tableRow(COLUMNS, cells, { "data-testid": "audit-row" });
}

/**
 * The fields that an entry changed: `name: "a" → "b"`.
 * @param {AuditEntry} entry
 */
function change({ before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const changed = names.filter((name) => JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]));
  if (changed.length === 0) return null;
  const line = (/** @type {string} */ name) => {
    const sides = [before?.[name], after?.[name]].filter((side) => side !== undefined).map((side) => jsonText(side));
    return h("div", null, `${name}: ${sides.join(" → ")}`);
  };
  const summary = h("summary", null, summaryOf(before, after, changed));
  return h("details", null, summary, h("div", { class: "diff" }, changed.map(line)));
}

/**
 * Of what is new or gone every field counts as changed: their names would say little.
 * @param {AuditEntry["before"]} before
 * @param {AuditEntry["after"]} after
 * @param {string[]} changed
 */
function summaryOf(before, after, changed) {
  if (!before) return "as made";
  return after ? changed.join(", ") : "as it was";
}
