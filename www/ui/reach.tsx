// What a key with these scopes may call and may not, as the gate would decide. What it should call chooses its scopes.

import type { ApiKey, Realm, Route } from "../../types/admin-api.js";
import { useQuery } from "../cache.ts";
import { mayCallQuery } from "../queries.ts";
import { useFinder } from "./inputs.tsx";
import { Button } from "./parts.tsx";
import { held } from "./scopes.tsx";

/** With more than this, there is a search field. */
const MANY = 8;

interface ReachProps {
  realm: Realm;
  draft: Pick<ApiKey, "kind" | "scopes" | "testMode">;
  onChange: (scopes: string[]) => void;
}

/** Of a route's methods, those that pass, also for a key that is no live secret one. */
function passing({ mayCall, needs, methods }: Route, { kind, testMode }: ReachProps["draft"]) {
  if (needs.by.length === 0) return methods;
  if (kind === "publishable" && !needs.by.includes("publishable")) return [];
  const isFit = (method: string) =>
    !testMode || needs.testKeys === "all" || (needs.testKeys === "read" && /^(GET|HEAD)$/.test(method));
  return (mayCall ?? []).filter(isFit);
}

export function Reach({ realm, draft, onChange }: ReachProps) {
  const { finder, isWanted } = useFinder("Search routes", "GET /api/orders");
  const { pages } = useQuery(
    mayCallQuery({
      realm: realm.id,
      // A comma: no scopes. Without the parameter the server would not say what a key may call.
      scopes: draft.scopes.join() || ",",
    }),
  );
  const routes = pages[0] ?? [];
  if (routes.length === 0) return null;
  const grantable = new Set(realm.scopes.filter((scope) => scope.grantable).map(({ name }) => name));
  const own = held(realm.scopes, draft.scopes);
  const by = draft.kind === "publishable" ? "publishable" : "key";

  const rows = (may: boolean) =>
    routes.flatMap((route) => {
      const passes = passing(route, draft);
      const methods = may ? passes : route.methods.filter((method) => !passes.includes(method));
      const text = `${methods.join(" ")} ${route.path}`;
      if (methods.length === 0 || !isWanted(text)) return [];
      const missing = route.needs.scopes.filter((scope) => !own.has(scope));
      const mayAdd = !may && missing.length > 0 && missing.every((scope) => grantable.has(scope));
      return (
        <li key={text}>
          <div>
            <span class="methods">{methods.join(" ")}</span> <code>{route.path}</code>
          </div>
          {mayAdd && route.needs.by.includes(by) && (
            <Button
              class="small"
              aria-label={`Allow ${text}`}
              title={missing.join(", ")}
              onClick={() => onChange([...draft.scopes, ...missing])}
            >
              Allow
            </Button>
          )}
        </li>
      );
    });
  const list = (title: string, may: boolean, none: string) => {
    const found = rows(may);
    return (
      <section class={may ? "may" : "may not"} aria-label={title}>
        <h2>{title}</h2>
        {found.length > 0 ? <ul>{found}</ul> : <p class="hint">{none}</p>}
      </section>
    );
  };
  return (
    <aside class="reach" aria-label="What it may call" data-testid="reach">
      {routes.length > MANY && finder}
      {list("May call", true, "Nothing yet. Choose scopes, or allow what it should call.")}
      {list("May not call", false, "Nothing: every route is open to it.")}
    </aside>
  );
}
