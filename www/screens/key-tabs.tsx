// Parts of a key's screen: what it may call, what was done to it, and what the gate would answer to a request with it.

import { useState } from "preact/hooks";

import type { ApiKey, Explanation, Realm, Route } from "../../types/admin-api.js";
import { post } from "../api.ts";
import { useQuery } from "../cache.ts";
import { curl } from "../curl.ts";
import { keyText, Relative } from "../format.tsx";
import { keyPage, keyUsageApi } from "../paths.ts";
import { auditQuery, keyQuery, mayCallQuery, outcomesQuery } from "../queries.ts";
import { refusals, Sparkline, sum } from "../ui/chart.tsx";
import { Loaded } from "../ui/choices.tsx";
import { Form, SelectField, TextField } from "../ui/form.tsx";
import { Alerts, Button, type Column, Link, More, ProblemText, StatusBadge, Table } from "../ui/parts.tsx";
import { ChangeRow } from "../ui/sentence.tsx";
import { Answer, METHODS, COLUMNS as ROUTE_COLUMNS } from "./routes.tsx";

interface KeyProps {
  apiKey: ApiKey;
}

const MAY_CALL: Column<Route> = {
  title: "May call",
  cell: ({ mayCall, methods, code }) => (
    <>
      {mayCall?.length ? (
        <span class="good">{mayCall.length < methods.length ? mayCall.join(", ") : "Yes"}</span>
      ) : (
        <span class="bad">No</span>
      )}
      {code && <div class="faint">{mayCall?.length ? `others: ${code}` : code}</div>}
    </>
  ),
  narrow: "end",
};
const ACCESS = [ROUTE_COLUMNS[0], MAY_CALL, ...ROUTE_COLUMNS.slice(1, 3)];

export const Access = ({ apiKey }: KeyProps) => (
  <Loaded query={mayCallQuery({ keyId: apiKey.id, realm: apiKey.realm })}>
    {(routes) => (
      <>
        <p class="hint">From one of its addresses and web pages, if it is bound to any, and as it is now.</p>
        <Table
          caption="What the key may call"
          columns={ACCESS}
          rows={routes}
          keyOf={({ methods, path }) => `${methods} ${path}`}
          testId="access-row"
        />
      </>
    )}
  </Loaded>
);

interface TimelineProps extends KeyProps {
  /** Revokes a key, where that is allowed. */
  end?: (key: ApiKey) => Promise<void>;
}

export function Timeline({ apiKey: { id, rotatedFrom, rotatedTo }, end }: TimelineProps) {
  const { pages, problem, hasMore, more, retry } = useQuery(auditQuery(50, { object: id }));
  return (
    <>
      {rotatedFrom !== null && <Rotation old={rotatedFrom} replacement={id} end={end} />}
      {rotatedTo !== null && <Rotation old={id} replacement={rotatedTo} end={end} />}
      <section class="panel">
        <div class="panel-title">
          <h2>What was done</h2>
        </div>
        <Alerts>{problem !== null && <ProblemText problem={problem} retry={retry} />}</Alerts>
        <ul class="list">
          {pages.flatMap(({ entries, names }) =>
            entries.map((entry) => <ChangeRow key={entry.seq} entry={entry} names={names} />),
          )}
        </ul>
        {hasMore && <More more={more} rows="[data-testid=change-row]" />}
      </section>
    </>
  );
}

interface RotationProps extends Pick<TimelineProps, "end"> {
  old: string;
  replacement: string;
}

/** Both keys of a rotation, with what the last 24 hours had of each. */
const Rotation = ({ old, replacement, end }: RotationProps) => (
  <section class="panel">
    <div class="panel-title">
      <h2>Rotation</h2>
    </div>
    <ul class="list">
      <Side id={old} what="Old key" end={end} />
      <Side id={replacement} what="New key" />
    </ul>
  </section>
);

const Side = ({ id, what, end }: { id: string; what: string } & Pick<TimelineProps, "end">) => (
  <li data-testid="side">
    <Loaded query={keyQuery(id)}>
      {(key) => (
        <Loaded query={outcomesQuery(keyUsageApi(id), "24h")}>
          {({ points }) => {
            const accepted = points.map((point) => point.accepted);
            const refused = points.map(refusals);
            const isSilent = sum([...accepted, ...refused]) === 0;
            return (
              <div class="side">
                <div>
                  {what}: <Link to={keyPage(id)}>{keyText(key)}</Link> <StatusBadge of={key} />
                </div>
                <Sparkline accepted={accepted} refused={refused} />
                <span class="faint">
                  last use: <Relative at={key.lastUsedAt} absent="not reported yet" />
                </span>
                {end && key.status === "ACTIVE" && isSilent && (
                  <Button class="small danger" onClick={() => end(key)}>
                    Silent for 24 hours: end it
                  </Button>
                )}
              </div>
            );
          }}
        </Loaded>
      )}
    </Loaded>
  </li>
);

export function Test({ apiKey: { id }, realm }: KeyProps & { realm: Realm | undefined }) {
  const [answer, setAnswer] = useState<{ method: string; path: string; of: Explanation } | null>(null);
  return (
    <>
      <p class="hint">
        What the gate would answer to a request with this key. Nothing is sent to the origin, and nothing is counted.
      </p>
      <Form
        submit="Explain"
        onSubmit={async (values) => {
          const [method, path] = [values("method"), values("path")];
          const of = await post(
            "/explain",
            { method, path, keyId: id, address: values("address") || null },
            { isQuestion: true },
          );
          setAnswer({ method, path, of });
        }}
      >
        <div class="pair">
          <SelectField name="method" label="Method" options={METHODS} value="GET" />
          <TextField name="address" label="Client's address (optional)" />
        </div>
        <TextField name="path" label="Path" hint="As it is sent, such as /api/orders?page=2." required />
      </Form>
      {answer && (
        <>
          {realm?.credential && (
            <pre class="tile" data-testid="curl">
              {curl(answer.method, answer.path, realm, realm.credential, "$API_KEY")}
            </pre>
          )}
          <Answer of={answer.of} />
        </>
      )}
    </>
  );
}
