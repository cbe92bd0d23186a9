// How requests were answered: charts of their outcomes, and the latest that were refused.

import type { Refusal } from "../../types/admin-api.js";
import { useQuery } from "../cache.ts";
import { Ago } from "../format.tsx";
import { keyPage } from "../paths.ts";
import { outcomesQuery, PERIODS, type Period, refusalsQuery, type UsagePath } from "../queries.ts";
import { mayManageTenants } from "../session.ts";
import { Chart } from "./chart.tsx";
import { Loaded } from "./choices.tsx";
import type { Options } from "./form.tsx";
import { Alerts, Button, type Column, Link, ProblemText, Table } from "./parts.tsx";

export const PERIOD_OPTIONS: Options = Object.entries(PERIODS).map(([name, count]) => [
  name,
  name === "24h" ? "24 hours" : `${count} days`,
]);

const SCOPES: Options = [
  ["tenant", "This tenant"],
  ["deployment", "All tenants"],
];

/** Whose requests can be shown. */
export const scopes = () => (mayManageTenants() ? SCOPES : SCOPES.slice(0, 1));

interface UsageProps {
  path: UsagePath;
  period: string;
  scope?: string;
}

export const Usage = ({ path, period, scope }: UsageProps) => (
  <Loaded query={outcomesQuery(path, period as Period, scope)}>
    {({ byDay, points }) => (
      <>
        <Chart what="Requests" points={points} byDay={byDay} />
        {scope === "deployment" && (
          <>
            <h3>Refusals that belong to no key</h3>
            <p class="hint">No key, one that nobody has, or an unknown route. Many of them: somebody is guessing.</p>
            <Chart
              what="Refusals of no key"
              points={points.map(({ time, unattributed = {} }) => ({ time, accepted: 0, refused: unattributed }))}
              byDay={byDay}
            />
          </>
        )}
      </>
    )}
  </Loaded>
);

const COLUMNS: Column<Refusal>[] = [
  { title: "Reason", cell: ({ code }) => <code>{code}</code>, narrow: "first" },
  {
    title: "Request",
    cell: ({ method, route }) => (
      <code>
        {method} {route ?? "(no route)"}
      </code>
    ),
  },
  { title: "From", cell: ({ network }) => network },
  { title: "Request id", cell: ({ requestId }) => <code class="faint">{requestId}</code> },
  { title: "When", cell: ({ time }) => <Ago at={time} />, narrow: "end" },
];

/** Where they are of several keys. */
const WITH_KEY = COLUMNS.with(0, {
  ...COLUMNS[0],
  cell: ({ code, keyId }) => (
    <>
      <code>{code}</code>
      {keyId !== null && (
        <div class="aside">
          <Link to={keyPage(keyId)}>{keyId}</Link>
        </div>
      )}
    </>
  ),
});

/** The latest refusals: of a key, of all keys, or (`scope=deployment`) of no key. */
export function Refusals({ of }: { of: { keyId?: string; scope?: string } }) {
  const { pages, problem, hasMore, more, retry } = useQuery(refusalsQuery(of));
  const rows = pages.flatMap(({ entries }) => entries);
  return (
    <div class="stack">
      <Alerts>{problem !== null && <ProblemText problem={problem} retry={retry} />}</Alerts>
      {rows.length > 0 && (
        <Table
          caption="Latest refusals"
          columns={of.keyId === undefined ? WITH_KEY : COLUMNS}
          rows={rows}
          keyOf={({ requestId }) => requestId}
          testId="refusal-row"
        />
      )}
      {pages[0]?.entries.length === 0 && <p class="nothing faint">None in the last 24 hours.</p>}
      {hasMore && (
        <Button class="small" onClick={more}>
          Load more
        </Button>
      )}
    </div>
  );
}
