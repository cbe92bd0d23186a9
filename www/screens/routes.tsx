// What the policy lets through, and why a request would pass or not: the gate's own decision about one that nobody sends.

import { useState } from "preact/hooks";

import type { Explanation, Route } from "../../types/admin-api.js";
import { post } from "../api.ts";
import { ready, useQuery } from "../cache.ts";
import { Typed } from "../format.tsx";
import { routesQuery } from "../queries.ts";
import type { Screen } from "../router.ts";
import { Form, type Options, SelectField, TextField } from "../ui/form.tsx";
import { type Column, Scopes, Table, TitleBar } from "../ui/parts.tsx";

export async function routesScreen(): Promise<Screen> {
  await ready(routesQuery);
  return { title: "Routes", node: <Routes /> };
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
      {needs.by.map((by) => BY[by]).join(" or ")}
      {needs.scopes.length > 0 && <Scopes scopes={needs.scopes} />}
      {needs.plans.length > 0 && <div class="faint">plan {needs.plans.join(" or ")}</div>}
    </>
  );
};

function Routes() {
  const [routes = []] = useQuery(routesQuery).pages;
  const [answer, setAnswer] = useState<Explanation | null>(null);
  return (
    <>
      <TitleBar title="Routes" under={<p class="hint">What the policy lets through, in its order.</p>}>
        {null}
      </TitleBar>
      <Table
        caption="Routes"
        columns={COLUMNS}
        rows={routes}
        keyOf={({ realm, methods, path }) => `${realm} ${methods} ${path}`}
        testId="route-row"
      />
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
