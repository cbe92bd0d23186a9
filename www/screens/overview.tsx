// How the API is used, and what may want to be looked at.

import type { KeySummary, Realm } from "../../types/admin-api.js";
import { type Query, ready, useQuery } from "../cache.ts";
import { number } from "../format.tsx";
import { listOf } from "../key-views.ts";
import { auditQuery, outcomesQuery, type Period, quotasQuery, summaryQuery } from "../queries.ts";
import type { Address, Screen } from "../router.ts";
import { may, mayManageTenants, realms } from "../session.ts";
import { chosenIn, Loaded, useChoices } from "../ui/choices.tsx";
import { Link, TitleBar } from "../ui/parts.tsx";
import { Quotas } from "../ui/quota-note.tsx";
import { ChangeRow } from "../ui/sentence.tsx";
import { PERIOD_OPTIONS, Refusals, scopes, Usage } from "../ui/usage.tsx";
import { NoKeys } from "./keys.tsx";

const summaryOfAll = summaryQuery("");
const latest = auditQuery(50);
const MOST_CHANGES = 5;

export async function overviewScreen({ query }: Address): Promise<Screen> {
  const first = chosenIn(query, { period: PERIOD_OPTIONS, scope: scopes() });
  const usage = outcomesQuery("/usage", first.period as Period, first.scope);
  // Each part that cannot be read says so itself.
  const parts = [summaryOfAll, usage, latest, quotasQuery].map((query: Query<unknown>) => ready(query));
  const [known] = await Promise.all([realms(), Promise.allSettled(parts)]);
  return { title: "Overview", node: <Overview known={known} first={first} /> };
}

function Overview({ known, first }: { known: Realm[]; first: Record<string, string> }) {
  const [summary] = useQuery(summaryOfAll).pages;
  const { chosen, choices } = useChoices("/overview", first);
  const mayCreate = known.some((realm) => may("create", realm));
  const isOfAll = chosen.scope === "deployment";
  return (
    <>
      <TitleBar title="Overview" under={null}>
        {mayCreate && summary?.total > 0 && (
          <Link class="button primary" to="/keys/new">
            Create key
          </Link>
        )}
      </TitleBar>
      {summary?.total === 0 ? (
        <div class="empty">
          <NoKeys mayCreate={mayCreate} />
        </div>
      ) : (
        <Loaded query={summaryOfAll}>{(of) => <Counts of={of} />}</Loaded>
      )}
      <section class="panel usage">
        <div class="panel-title">
          <h2>Requests</h2>
          {mayManageTenants() && choices("scope", "Whose requests", scopes())}
          {choices("period", "Period", PERIOD_OPTIONS)}
        </div>
        <Usage path="/usage" period={chosen.period} scope={chosen.scope} />
        <h3>Latest refusals{isOfAll && ", of no key"}</h3>
        <Refusals key={chosen.scope} of={isOfAll ? { scope: "deployment" } : {}} />
      </section>
      <section class="panel">
        <div class="panel-title">
          <h2>Latest changes</h2>
          <Link to="/audit">All changes</Link>
        </div>
        <Loaded query={latest}>
          {({ entries, names }) => (
            <ul class="list">
              {entries
                .filter(({ action }) => !action.startsWith("session."))
                .slice(0, MOST_CHANGES)
                .map((entry) => (
                  <ChangeRow key={entry.seq} entry={entry} names={names} />
                ))}
            </ul>
          )}
        </Loaded>
      </section>
      <Quotas />
    </>
  );
}

/** What is counted. */
const COUNTS: [keyof KeySummary, string][] = [
  ["active", "Active"],
  ["nearLimit", "Near their limit"],
  ["expiring", "Expire within 30 days"],
  ["unused", "Unused for 90 days"],
  ["rotating", "Rotations not finished"],
];

const Counts = ({ of }: { of: KeySummary }) => (
  <ul class="tiles">
    {COUNTS.map(([name, title]) => (
      <li key={name}>
        <Link class="tile" to={listOf(name)} data-testid={name}>
          <strong>{number(of[name])}</strong>
          <div>{title}</div>
        </Link>
      </li>
    ))}
  </ul>
);
