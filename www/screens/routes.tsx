// What the policy lets through, and why a request would pass or not: the gate's own decision about one that nobody sends.

import { useState } from "preact/hooks";

import type { Explanation, Realm, Refusal, Route, RoutesUsage, RouteUsage } from "../../types/admin-api.js";
import { Problem, post } from "../api.ts";
import { fresh, ready, useQuery } from "../cache.ts";
import { Ago, countryName, duration, number, plural, REQUEST_ID, Typed } from "../format.tsx";
import { addressOf, set } from "../key-views.ts";
import { keyPage, requestPage } from "../paths.ts";
import { keysQuery, requestQuery, routesQuery, trafficQuery } from "../queries.ts";
import { type Address, rename, type Screen } from "../router.ts";
import { realms } from "../session.ts";
import { sum } from "../ui/chart.tsx";
import { chosenIn, Loaded, useChoices } from "../ui/choices.tsx";
import { Form, type Options, Select, SelectField, TextField } from "../ui/form.tsx";
import { NO_ENTRY } from "../ui/palette.tsx";
import { Alerts, Button, type Column, Fact, Facts, Link, ProblemText, Scopes, Table, TitleBar } from "../ui/parts.tsx";
import { scopes } from "../ui/usage.tsx";

export async function routesScreen({ query }: Address): Promise<Screen> {
  const request = query.get("request") ?? "";
  const first = chosenIn(query, { days: DAYS, scope: scopes() });
  // What was counted says itself if it cannot be read.
  const traffic = ready(trafficQuery(first)).catch(() => {});
  const [known] = await Promise.all([realms(), ready(routesQuery), traffic]);
  return {
    title: "Routes",
    node: <Routes request={REQUEST_ID.test(request) ? request : ""} first={first} known={known} />,
  };
}

export const METHODS: Options = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].map((method) => [
  method,
  method,
]);

const BY: Record<Route["needs"]["by"][number], string> = {
  key: "key",
  publishable: "publishable key",
  jwt: "token",
  session: "session",
  webhook: "signature",
};

export const COLUMNS: Column<Route>[] = [
  { title: "Path", cell: ({ path }) => <code>{path}</code>, narrow: "first" },
  { title: "Methods", cell: ({ methods }) => methods.join(", ") },
  { title: "Needs", cell: (route) => <Needs of={route} /> },
  { title: "Realm", cell: ({ realm }) => realm, narrow: "end" },
];

const Needs = ({ of: { needs } }: { of: Route }) => {
  if (needs.by.length === 0) return <span class="faint">nothing</span>;
  return (
    <>
      {needs.by.map((by) => BY[by]).join(needs.all ? " and " : " or ")}
      {needs.optional && ", or nothing"}
      {needs.scopes.length > 0 && <Scopes scopes={needs.scopes} />}
      {needs.plans.length > 0 && <div class="faint">plan {needs.plans.join(" or ")}</div>}
    </>
  );
};

const DAYS: Options = [
  ["7", "7 days"],
  ["30", "30 days"],
  ["1", "Today (UTC)"],
];
const reads = (method: string) => ["GET", "HEAD", "OPTIONS"].includes(method);

/** A route with what was counted on it, by its methods. */
type Counted = Route & { counts: RouteUsage[]; all: number };

const total = ({ accepted, refused, unattributed = 0 }: Pick<RouteUsage, "accepted" | "refused" | "unattributed">) =>
  accepted + refused + unattributed;
const bySort: Record<string, (a: Counted, b: Counted) => number> = {
  traffic: (a, b) => b.all - a.all,
  "-traffic": (a, b) => a.all - b.all,
};

/** The policy's routes with their counts, and how many requests were on none of them. */
function joined(routes: Route[], { routes: counts, others }: RoutesUsage) {
  let left = others ? total(others) : 0;
  const rows: Counted[] = routes.map((route) => ({ ...route, counts: [], all: 0 }));
  for (const count of counts) {
    const row = rows.find(
      ({ realm, path, methods }) => realm === count.realm && path === count.path && methods.includes(count.method),
    );
    row?.counts.push(count);
    if (row) row.all += total(count);
    else left += total(count);
  }
  return { rows, left };
}

const NO_TRAFFIC: RoutesUsage = { from: "", routes: [], others: null };
const keyOf = ({ realm, methods, path }: Route) => `${realm} ${methods} ${path}`;

function Routes({ request, first, known }: { request: string; first: Record<string, string>; known: Realm[] }) {
  const [routes = []] = useQuery(routesQuery).pages;
  const { chosen, choices } = useChoices("/routes", first);
  const { pages, problem, retry, isChanging } = useQuery(trafficQuery(chosen));
  const isCounted = pages.length > 0 && problem === null && !isChanging;
  const { rows, left } = joined(routes, pages[0] ?? NO_TRAFFIC);
  const most = Math.max(...rows.map(({ all }) => all));
  const [sorted, setSorted] = useState("");
  const [wanted, setWanted] = useState("");
  const [realm, setRealm] = useState("");
  const [open, setOpen] = useState("");
  const [answer, setAnswer] = useState<Explanation | null>(null);
  const [, ...columns] = COLUMNS;
  const path: Column<Counted> = {
    ...COLUMNS[0],
    cell: (route) => {
      const key = keyOf(route);
      return (
        <Button class="sort" aria-expanded={key === open} onClick={() => setOpen(key === open ? "" : key)}>
          <code>{route.path}</code>
        </Button>
      );
    },
  };
  const traffic: Column<Counted> = {
    title: "Requests",
    sort: ["-traffic", "traffic"],
    cell: ({ counts, all }) => {
      const accepted = sum(counts.map((count) => count.accepted));
      if (!isCounted) return <span class="faint">–</span>;
      return all > 0 ? (
        <>
          {number(accepted)} {all > accepted && <span class="faint">{number(all - accepted)} refused</span>}
          <svg class="share" aria-hidden="true">
            <rect class="s0" width={`${(accepted / most) * 100}%`} height="100%" />
            <rect
              class="s1"
              x={`${(accepted / most) * 100}%`}
              width={`${(1 - accepted / all) * (all / most) * 100}%`}
              height="100%"
            />
          </svg>
        </>
      ) : (
        <span class="faint">none</span>
      );
    },
  };
  const shown = rows
    .filter((row) =>
      `${row.methods} ${row.path} ${row.needs.scopes}`.toLowerCase().includes(wanted.trim().toLowerCase()),
    )
    .filter((row) => !realm || row.realm === realm)
    .sort(bySort[sorted] ?? (() => 0));
  return (
    <>
      <TitleBar title="Routes" under={<p class="hint">What the policy lets through, in its order.</p>}>
        {scopes().length > 1 && choices("scope", "Whose requests", scopes())}
        {choices("days", "Period", DAYS)}
      </TitleBar>
      <search class="filters">
        <input
          type="search"
          placeholder="Search path, method or scope"
          aria-label="Search"
          value={wanted}
          onInput={({ currentTarget }) => setWanted(currentTarget.value)}
        />
        {known.length > 1 && (
          <Select
            aria-label="Realm"
            options={[["", "Every realm"], ...known.map(({ id }) => [id, id] as const)]}
            value={realm}
            onChange={setRealm}
          />
        )}
      </search>
      <Alerts>{problem !== null && <ProblemText problem={problem} retry={retry} />}</Alerts>
      {request && <Request first={request} />}
      <Table
        caption="Routes"
        columns={[path, columns[0], traffic, ...columns.slice(1)]}
        rows={shown}
        keyOf={keyOf}
        testId="route-row"
        sorted={sorted}
        onSort={setSorted}
        below={(route) => keyOf(route) === open && <Details of={route} />}
      />
      <p class="hint">
        Requests made with keys, as reported so far. Days are in UTC.{" "}
        {chosen.scope === "deployment" && "Refusals include those that belong to no key. "}
        {isCounted &&
          left > 0 &&
          `${number(left)} more were on routes that the policy no longer has, or that are not counted apart.`}
      </p>
      {shown.length === 0 && <p role="status">No route matches.</p>}
      {!request && <Request first="" />}
      <h2>Why?</h2>
      <p class="hint">
        What the gate would answer to a request. Nothing is sent to the origin, and nothing is counted.
      </p>
      <Form
        submit="Explain"
        onSubmit={async (values) => {
          const [method = "", path = "", key, address, origin] = ["method", "path", "key", "address", "origin"].map(
            values,
          );
          const shown = key?.startsWith("key_") ? { keyId: key } : { key: key || null };
          setAnswer(
            await post(
              "/explain",
              { method, path, ...shown, address: address || null, origin: origin || null },
              { isQuestion: true },
            ),
          );
        }}
      >
        <SelectField name="method" label="Method" options={METHODS} value="GET" />
        <TextField name="path" label="Path" hint="As it is sent, such as /api/orders?page=2." required />
        <TextField
          name="key"
          label="Key (optional)"
          hint="Its id, or the whole key, which is neither kept nor logged."
          autoComplete="off"
        />
        <TextField name="address" label="Client's address (optional)" />
        <TextField name="origin" label="Web page's origin (optional)" hint="Such as https://shop.example.com." />
      </Form>
      {answer && <Answer of={answer} />}
    </>
  );
}

/** Who gets through otherwise than with a key of the list. */
const OTHERS: Partial<Record<Route["needs"]["by"][number], string>> = {
  jwt: "Whoever shows a valid token with these scopes.",
  session: "Whoever has followed a link, as long as the session lasts.",
  webhook: "Whoever signs with the webhook's secret.",
};

/** More of a route: each method's requests, and who can call it. */
const Details = ({
  of: { realm, methods, needs, counts, cost, freshnessSeconds, limitedByNetwork },
}: {
  of: Counted;
}) => (
  <Facts>
    {counts.length > 0 && methods.length > 1 && (
      <Fact term="Requests">
        {counts.map(({ method, accepted, ...count }) => (
          <div key={method}>
            <code>{method}</code> {number(accepted)} accepted, {number(total({ accepted: 0, ...count }))} refused
          </div>
        ))}
      </Fact>
    )}
    <Fact term="Who can call it">
      {(needs.by.length === 0 || needs.optional) && (
        <div>
          Anybody{needs.optional && " who shows nothing"}
          {limitedByNetwork && ", with a limit for each network"}. These requests are not counted.
        </div>
      )}
      <Callers realm={realm} needs={needs} methods={methods} />
      {!needs.all && needs.by.map((by) => OTHERS[by] && <div key={by}>{OTHERS[by]}</div>)}
    </Fact>
    {cost > 1 && <Fact term="Cost">{number(cost)} requests</Fact>}
    {needs.by.length > 0 && (
      <Fact term="Key changes take effect">
        {freshnessSeconds ? `within ${duration(freshnessSeconds)}` : "from the next request"}
      </Fact>
    )}
  </Facts>
);

/** The active keys that hold what a route asks for, as a link to their list. */
function Callers({ realm, needs, methods }: Pick<Route, "realm" | "needs" | "methods">) {
  const kinds = [needs.by.includes("key") && "secret", needs.by.includes("publishable") && "publishable"].filter(
    Boolean,
  );
  if (kinds.length === 0) return null;
  const isLive = needs.testKeys === "none" || (needs.testKeys === "read" && !methods.some(reads));
  const filter = set({
    status: "ACTIVE",
    realm,
    scope: needs.scopes.join(),
    kind: kinds.length > 1 ? "" : String(kinds[0]),
    mode: isLive ? "live" : "",
  });
  return (
    <Loaded query={keysQuery(filter, 1)}>
      {({ total, totalIsAtLeast }) => (
        <div>
          <Link to={addressOf(filter)}>
            {totalIsAtLeast && "at least "}
            {plural(total, "active key")}
          </Link>
          {needs.plans.length > 0 && ` if the tenant's plan is ${needs.plans.join(" or ")}`}
          <p class="hint">
            By scope, kind and mode. Addresses and web pages that a key is bound to are not looked at, nor are keys that
            stand in the policy.
            {needs.testKeys === "read" && !isLive && !methods.every(reads) && " Test keys only read."}
          </p>
        </div>
      )}
    </Loaded>
  );
}

/** What happened to a request that somebody names by its id. */
function Request({ first }: { first: string }) {
  const [id, setId] = useState(first);
  return (
    <>
      <h2>Look up a refused request</h2>
      <p class="hint">Why a request of the last 24 hours was refused.</p>
      <Form
        submit="Look up"
        onSubmit={async (values) => {
          const typed = values("request").toLowerCase();
          if (!REQUEST_ID.test(typed))
            throw new Problem({ status: 400 }).at("request", "must be 32 digits and letters a to f");
          rename(requestPage(typed));
          // Refusals are reported some minutes later: each time as it is now.
          await fresh(requestQuery(typed));
          setId(typed);
        }}
      >
        <TextField
          name="request"
          label="Request id"
          hint="It stands in X-Request-Id and, as requestId, in the answer to a refused request."
          value={first}
        />
      </Form>
      {id && (
        <section role="status" data-testid="request">
          <Loaded key={id} query={requestQuery(id)}>
            {(refusal) => (refusal ? <Refused of={refusal} /> : <p>{NO_ENTRY}</p>)}
          </Loaded>
        </section>
      )}
    </>
  );
}

const Refused = ({ of }: { of: Refusal }) => (
  <Facts>
    <Fact term="Refused">
      {of.status} <code>{of.code}</code>
    </Fact>
    <Fact term="When">
      <Ago at={of.time} />
    </Fact>
    <Fact term="Request">
      <code>
        {of.method} {of.route ?? "(no route)"}
      </code>
    </Fact>
    <Fact term="Key">{of.keyId === null ? "none" : <Link to={keyPage(of.keyId)}>{of.keyId}</Link>}</Fact>
    {of.network && (
      <Fact term="From">
        {of.network}
        {of.country && ` (${countryName(of.country)})`}
      </Fact>
    )}
  </Facts>
);

/** The outcome in words. A link goes on where only following it would say more. */
function verdict({ allowed, status, code }: Explanation) {
  if (allowed) return "It would pass";
  return status === null ? "It would go on" : `It would be refused: ${status} ${code}`;
}

export function Answer({ of }: { of: Explanation }) {
  return (
    <section role="status" data-testid="explanation">
      <h2>{verdict(of)}</h2>
      <ol class="list steps">
        {of.steps.map(({ step, ok, detail }) => (
          <li key={step}>
            <div>
              <strong>{step}</strong> {detail !== null && <Typed>{detail}</Typed>}
            </div>
            <span class={ok ? "faint" : "bad"}>{ok ? "passes" : "stops here"}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
