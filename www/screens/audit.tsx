// The audit log: who did what to what, newest first; and whether the chain of entries is whole.

import { useState } from "preact/hooks";

import type { AuditEntry, AuditVerdict, Realm } from "../../types/admin-api.js";
import { get } from "../api.ts";
import { ready, useQuery } from "../cache.ts";
import { ActorName, day, lastFourOfKey, number, plural, TimeOfDay } from "../format.tsx";
import { auditQuery } from "../queries.ts";
import { type Address, go, rename, replace, type Screen } from "../router.ts";
import { saveExport } from "../save.ts";
import { realms } from "../session.ts";
import { useActing } from "../ui/acting.tsx";
import { type Options, Select } from "../ui/form.tsx";
import { Committed } from "../ui/inputs.tsx";
import { Alerts, Button, More, ProblemText, TitleBar } from "../ui/parts.tsx";
import { Change, type Names, Sentence } from "../ui/sentence.tsx";

/** What narrows the list, as it stands in the address. Days are those of whoever looks. */
type Filter = Record<"action" | "actor" | "object" | "from" | "to", string>;

const NOTHING: Filter = { action: "", actor: "", object: "", from: "", to: "" };

const ACTIONS: Options = [
  ["", "Everything"],
  ["key.", "Keys"],
  ["key.create", "Keys created"],
  ["key.edit", "Keys changed"],
  ["key.revoke", "Keys revoked"],
  ["key.rotate", "Keys rotated"],
  ["member.", "People"],
  ["invitation.", "Invitations"],
  ["session.", "Sign-ins and sessions"],
  ["session.refused", "Failed sign-ins"],
  ["tenant.", "Tenants"],
  ["link.", "Links"],
];

const set = (filter: Filter) => Object.entries(filter).filter(([, text]) => text);

/** The beginning of a day, or of the one after it. */
function startOf(date: string, after = 0) {
  const at = new Date(`${date}T00:00`);
  at.setDate(at.getDate() + after);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}

/** The filter as the API takes it. */
const asked = (filter: Filter) =>
  Object.fromEntries(set({ ...filter, from: startOf(filter.from), to: startOf(filter.to, 1) }));

export async function auditScreen({ query }: Address): Promise<Screen> {
  const filter = { ...NOTHING };
  for (const name of Object.keys(NOTHING) as (keyof Filter)[]) filter[name] = query.get(name) ?? "";
  // Of a whole key the address would keep too much.
  const [known] = await Promise.all([realms(), query.size === 0 && ready(auditQuery(50, asked(filter)))]);
  if (lastFourOfKey(Object.values(filter).join(" "), known) !== undefined) {
    replace("/audit");
    return { title: "Audit", node: null };
  }
  await ready(auditQuery(50, asked(filter)));
  return { title: "Audit", node: <Audit first={filter} known={known} /> };
}

function Audit({ first, known }: { first: Filter; known: Realm[] }) {
  const [filter, setFilter] = useState(first);
  const { pages, problem, hasMore, more, retry } = useQuery(auditQuery(50, asked(filter)));
  const { act, alerts } = useActing();
  const [said, setSaid] = useState("");
  const [verdict, setVerdict] = useState<AuditVerdict | null>(null);
  const verdictClass = verdict?.ok ? "good" : "bad";
  const isNarrowed = set(filter).length > 0;
  const entries = pages.flatMap((page) => page.entries);
  const names: Names = Object.assign({}, ...pages.map((page) => page.names));

  function narrow(change: Partial<Filter>) {
    if (lastFourOfKey(Object.values(change).join(" "), known) !== undefined)
      return setSaid("That was a whole key. It was not sent anywhere: search for its id instead.");
    const changed = { ...filter, ...change };
    setFilter(changed);
    rename(`/audit${set(changed).length > 0 ? `?${new URLSearchParams(set(changed))}` : ""}`);
  }

  const verify = () =>
    act(async () => {
      setVerdict(null);
      try {
        let answer = await get("/audit/verify");
        while (answer.next !== undefined) {
          setSaid(`Checked ${number(answer.entries)} of ${number(answer.total)} entries …`);
          answer = await get("/audit/verify", { from: answer.next });
        }
        setVerdict(answer);
      } finally {
        setSaid("");
      }
      return null;
    }, "");

  const exported = () =>
    act(
      () =>
        saveExport("/audit/export", asked(filter), (lines) => {
          setSaid(`Read ${number(lines)} entries …`);
          return true;
        }).finally(() => setSaid("")),
      "The export is saved.",
    );

  const input = (name: "actor" | "object" | "from" | "to", label: string, type = "search") => (
    <Committed
      type={type}
      name={name}
      aria-label={label}
      title={label}
      placeholder={label}
      value={filter[name]}
      onCommit={(text) => narrow({ [name]: text })}
    />
  );

  return (
    <>
      <TitleBar
        title="Audit"
        under={
          <p class="hint">
            Each entry contains the hash of the one before it, so none can be changed or removed unnoticed.
          </p>
        }
      >
        <Button onClick={verify}>Verify the chain</Button>
        <Button onClick={exported}>Export</Button>
      </TitleBar>
      <search class="filters">
        <Select
          name="action"
          aria-label="What"
          options={
            ACTIONS.some(([name]) => name === filter.action) ? ACTIONS : [...ACTIONS, [filter.action, filter.action]]
          }
          value={filter.action}
          onChange={(action) => narrow({ action })}
        />
        {input("actor", "By: address or id")}
        {input("object", "On: id of what was changed")}
        {input("from", "From this day", "date")}
        {input("to", "To this day", "date")}
        {isNarrowed && <Button onClick={() => go("/audit")}>Clear</Button>}
      </search>
      <p role="status" data-testid="verdict" class={verdict ? verdictClass : "faint"}>
        {verdict ? verdictOf(verdict) : said}
      </p>
      {alerts}
      <Alerts>{problem !== null && <ProblemText problem={problem} retry={retry} />}</Alerts>
      {pages.length > 0 && entries.length === 0 && (
        <div class="empty">{hasMore ? "Nothing yet among the newest entries." : "No entry matches."}</div>
      )}
      {byDay(entries).map(({ title, runs }) => (
        <section key={title} class="day">
          <h2>{title}</h2>
          <ul class="list">
            {runs.map((run) =>
              run.length > 1 ? <Fold key={run[0].seq} run={run} names={names} /> : row(run[0], names),
            )}
          </ul>
        </section>
      ))}
      {hasMore && <More more={more} rows="[data-testid=audit-row]" />}
    </>
  );
}

const row = (entry: AuditEntry, names: Names) => (
  <li key={entry.seq} data-testid="audit-row">
    <div>
      <Sentence entry={entry} names={names} />
      <Change entry={entry} />
    </div>
    <div class="aside" title={entry.requestId ? `Request ${entry.requestId}` : undefined}>
      {entry.address && <code>{entry.address}</code>} <TimeOfDay at={entry.time} />
    </div>
  </li>
);

/** What is folded when there are several of it in a row, by one person, and what one of it is called. */
const FOLDED: Record<string, string> = {
  "session.create": "sign-in",
  "session.refused": "failed sign-in",
  "session.delete": "sign-out",
  "session.stepUp": "password confirmation",
};

function Fold({ run, names }: { run: AuditEntry[]; names: Names }) {
  const counts = Object.entries(FOLDED).flatMap(([action, word]) => {
    const count = run.filter((entry) => entry.action === action).length;
    return count > 0 ? [plural(count, word)] : [];
  });
  return (
    <li class="fold">
      <details>
        <summary>
          {counts.join(", ")} by <ActorName actor={run[0].actor} />
        </summary>
        <ul class="list">{run.map((entry) => row(entry, names))}</ul>
      </details>
    </li>
  );
}

/** Entries by day; of each day, runs of what is folded together. */
function byDay(entries: AuditEntry[]) {
  const days: { title: string; runs: AuditEntry[][] }[] = [];
  const foldOf = ({ action, actor }: AuditEntry) => FOLDED[action] && `${actor.type} ${actor.id} ${actor.email}`;
  for (const entry of entries) {
    const title = day(entry.time);
    const today = days.at(-1)?.title === title ? days.at(-1) : undefined;
    const run = today?.runs.at(-1);
    const fold = foldOf(entry);
    if (!today) days.push({ title, runs: [[entry]] });
    else if (run && fold && foldOf(run[0]) === fold) run.push(entry);
    else today.runs.push([entry]);
  }
  return days;
}

function verdictOf({ ok, entries, checkpoint, brokenAt }: AuditVerdict) {
  if (!ok) return `The chain is broken at entry ${number(brokenAt ?? entries)}.`;
  const which = checkpoint
    ? `entries ${number(checkpoint.seq + 1)} to ${number(entries)}, after what was cut off for its age`
    : `${number(entries)} entries`;
  return `The chain is whole: ${which}, none missing or changed.`;
}
