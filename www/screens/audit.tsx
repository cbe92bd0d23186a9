// The audit log: who did what, newest first, and whether the chain of entries is whole.

import { useState } from "preact/hooks";

import type { AuditEntry, AuditVerdict } from "../../types/admin-api.js";
import { get } from "../api.ts";
import { ready, useQuery } from "../cache.ts";
import { ActorName, jsonText, number, Time } from "../format.tsx";
import { auditQuery } from "../queries.ts";
import type { Screen } from "../router.ts";
import { Alerts, Button, type Column, ProblemText, Table, TitleBar } from "../ui/parts.tsx";
import { More } from "./keys.tsx";

export async function auditScreen(): Promise<Screen> {
  await ready(auditQuery());
  return { title: "Audit", node: <Audit /> };
}

const COLUMNS: Column<AuditEntry>[] = [
  { title: "Time", cell: ({ time }) => <Time at={time} />, narrow: "end" },
  { title: "Who", cell: ({ actor }) => <ActorName actor={actor} /> },
  { title: "Action", cell: ({ action }) => <code>{action}</code>, narrow: "first" },
  { title: "On", cell: ({ target }) => <code>{target}</code> },
  { title: "Change", cell: (entry) => <Change entry={entry} /> },
  { title: "Address", cell: ({ address }) => address, narrow: "hidden" },
];

/** What is known of the chain: that it is being checked, what came of that, or why nothing did. */
type Check = "under way" | AuditVerdict | { problem: unknown };

function Audit() {
  const { pages, problem, hasMore, more, retry } = useQuery(auditQuery());
  const [check, setCheck] = useState<Check | null>(null);
  const failed = check !== null && typeof check === "object" && "problem" in check ? check : null;

  async function verify() {
    setCheck("under way");
    try {
      let answer = await get("/audit/verify");
      while (answer.next !== undefined) answer = await get("/audit/verify", { from: answer.next });
      setCheck(answer);
    } catch (caught) {
      setCheck({ problem: caught });
    }
  }

  return (
    <>
      <TitleBar
        title="Audit"
        under={
          <p class="hint">
            Each entry holds the hash of the one before, so that none can be changed or left out unseen.
          </p>
        }
      >
        <Button onClick={verify}>Verify the chain</Button>
      </TitleBar>
      <Verdict check={check} />
      <Alerts>
        {problem !== null && <ProblemText problem={problem} retry={retry} />}
        {failed && <ProblemText problem={failed.problem} retry={verify} />}
      </Alerts>
      <Table
        caption="Audit entries, newest first"
        columns={COLUMNS}
        rows={pages.flatMap(({ entries }) => entries)}
        keyOf={({ seq }) => seq}
        testId="audit-row"
      />
      {hasMore && <More more={more} />}
    </>
  );
}

function Verdict({ check }: { check: Check | null }) {
  let text = "";
  let kind: "good" | "bad" | undefined;
  if (check === "under way") text = "Checking every entry …";
  else if (check !== null && "ok" in check) {
    kind = check.ok ? "good" : "bad";
    text = check.ok
      ? `The chain is whole: ${whole(check)}, none missing or changed.`
      : `The chain is broken at entry ${number(check.brokenAt ?? check.entries)}.`;
  }
  return (
    <p role="status" data-testid="verdict" class={kind}>
      {text}
    </p>
  );
}

const whole = ({ entries, checkpoint }: AuditVerdict) =>
  checkpoint
    ? `entries ${number(checkpoint.seq + 1)} to ${number(entries)}, after what was cut off for its age`
    : `${number(entries)} entries`;

/** The fields that an entry changed: `name: "a" → "b"`. */
function Change({ entry: { before, after } }: { entry: AuditEntry }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const changed = names.filter((name) => JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]));
  if (changed.length === 0) return null;
  return (
    <details>
      <summary>{summaryOf(before, after, changed)}</summary>
      <div class="diff">
        {changed.map((name) => (
          <div key={name}>
            {name}:{" "}
            {[before?.[name], after?.[name]]
              .filter((side) => side !== undefined)
              .map((side) => jsonText(side))
              .join(" → ")}
          </div>
        ))}
      </div>
    </details>
  );
}

/** Of what is new or gone every field counts as changed: their names would say little. */
function summaryOf(before: AuditEntry["before"], after: AuditEntry["after"], changed: string[]) {
  if (!before) return "as made";
  return after ? changed.join(", ") : "as it was";
}
