// The list of keys: search, filters, pages. The filters stand in the address, so that back, reload and
// a bookmark find them again.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import type { ApiKey, Realm } from "../../types/admin-api.js";
import { ready, useQuery } from "../cache.ts";
import { isInherited, keyText, lastFourOfKey, limits, plural, Relative, Typed } from "../format.tsx";
import { keyPage } from "../paths.ts";
import { type KeyFilter, keysQuery } from "../queries.ts";
import { type Address, rename, replace, type Screen } from "../router.ts";
import { may, mayWrite, realms } from "../session.ts";
import { type Options, Select } from "../ui/form.tsx";
import {
  Alerts,
  Badge,
  Button,
  type Column,
  Link,
  ProblemText,
  Scopes,
  StatusBadge,
  Table,
  TitleBar,
} from "../ui/parts.tsx";
import { useChosen } from "./many-keys.tsx";

const TYPING_MS = 250;
/** Characters; the API takes no more. */
const LONGEST_SEARCH = 100;

const STATUSES: Options = [
  ["", "Every status"],
  ["ACTIVE", "Active"],
  ["PAUSED", "Paused"],
  ["REVOKED", "Revoked"],
  ["EXPIRED", "Expired"],
];

const UNUSED: Options = [
  ["", "Used or not"],
  ["7", "Not used for 7 days"],
  ["30", "Not used for 30 days"],
  ["90", "Not used for 90 days"],
  ["365", "Not used for a year"],
];

const NOTHING: KeyFilter = { q: "", status: "", unusedDays: "", realm: "" };

/** Of a filter, what narrows. */
const narrowing = (filter: KeyFilter) => Object.entries(filter).filter(([, text]) => text);

export async function keysScreen({ query }: Address): Promise<Screen> {
  const known = await realms();
  const filter = { ...NOTHING };
  for (const name of Object.keys(NOTHING) as (keyof KeyFilter)[]) filter[name] = query.get(name) ?? "";
  const pastedIntoAddress = lastFourOfKey(filter.q, known);
  if (pastedIntoAddress !== undefined) {
    replace(`/keys?${new URLSearchParams({ q: pastedIntoAddress })}`);
    return { title: "Keys", node: null };
  }
  await ready(keysQuery(filter));
  return { title: "Keys", node: <Keys known={known} first={filter} /> };
}

function Keys({ known, first }: { known: Realm[]; first: KeyFilter }) {
  /** What stands in the fields and in the address, and what of it is asked for. */
  const [filter, setFilter] = useState(first);
  const [asked, setAsked] = useState(first);
  const [isPasted, setPasted] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const { pages, problem, isChanging, hasMore, more, retry } = useQuery(keysQuery({ ...asked, q: asked.q.trim() }));
  const keys = pages.flatMap(({ entries }) => entries);
  const mayCreate = known.some((realm) => may("create", realm));
  const { box, bar } = useChosen(keys);

  // What is typed is asked for once nothing more is typed; what is chosen, at once.
  useEffect(() => {
    const timer = setTimeout(() => setAsked(filter), filter.q === asked.q ? 0 : TYPING_MS);
    return () => clearTimeout(timer);
  }, [filter, asked.q]);

  function narrow(change: Partial<KeyFilter>) {
    const changed = { ...filter, ...change };
    setFilter(changed);
    const set = narrowing({ ...changed, q: changed.q.trim() });
    // The address at once: whoever goes on before the list is there comes back to what was typed.
    rename(set.length > 0 ? `/keys?${new URLSearchParams(set)}` : "/keys");
  }

  /** Of a whole key it is the last four characters that are searched for: it must not get into the address, nor to the server. */
  function typed(text: string) {
    const last4 = lastFourOfKey(text, known);
    setPasted(last4 !== undefined);
    narrow({ q: (last4 ?? text).slice(0, LONGEST_SEARCH) });
  }

  function clear() {
    setPasted(false);
    narrow(NOTHING);
    search.current?.focus();
  }

  const filterSelect = (name: "status" | "unusedDays" | "realm", label: string, options: Options) => (
    <Select
      name={name}
      aria-label={label}
      options={options}
      value={filter[name]}
      onChange={(value) => narrow({ [name]: value })}
    />
  );

  return (
    <>
      <TitleBar title="Keys" under={null}>
        {mayWrite() && known.some((realm) => realm.link) && (
          <Link class="button" to="/links/new">
            Create link
          </Link>
        )}
        {mayCreate && (
          <Link class="button primary" to="/keys/new">
            Create key
          </Link>
        )}
        {mayWrite() && !mayCreate && <p class="hint">Only owners can create keys.</p>}
      </TitleBar>
      <search class="filters">
        <input
          ref={search}
          type="search"
          name="q"
          placeholder="Search name, tag or last four characters"
          aria-label="Search"
          value={filter.q}
          onInput={({ currentTarget }) => typed(currentTarget.value)}
        />
        {filterSelect("status", "Status", STATUSES)}
        {filterSelect("unusedDays", "Last use", UNUSED)}
        {known.length > 1 &&
          filterSelect("realm", "Realm", [["", "Every realm"], ...known.map(({ id }) => [id, id] as const)])}
      </search>
      <p class="hint" role="status">
        {isPasted &&
          "That was a whole key. It was not sent anywhere: these are the keys with its last four characters."}
      </p>
      <Alerts>{problem !== null && <ProblemText problem={problem} retry={retry} />}</Alerts>
      <p class="faint" role="status">
        {keys.length > 0 && `${plural(keys.length, "key")}${hasMore ? " shown, there are more" : ""}`}
      </p>
      {keys.length > 0 && bar}
      {keys.length > 0 && (
        <Table
          caption="API keys, newest first"
          columns={columnsFor(known, box)}
          rows={keys}
          keyOf={({ id }) => id}
          testId="key-row"
          rowClass={({ status }) => status !== "ACTIVE" && "spent"}
          isBusy={isChanging}
        />
      )}
      {pages.length > 0 && keys.length === 0 && (
        <div class="empty">
          {narrowing(asked).length > 0 ? <NothingFound clear={clear} /> : <NoKeys mayCreate={mayCreate} />}
        </div>
      )}
      {hasMore && <More more={more} />}
    </>
  );
}

/** Loads the next page. When that is the last one, the focus goes to the first row that is new. */
export function More({ more }: { more: () => Promise<void> }) {
  const button = useRef<HTMLParagraphElement>(null);
  async function load() {
    const list = button.current?.parentElement?.querySelector("tbody");
    const before = list?.children.length ?? 0;
    const hadFocus = button.current?.contains(document.activeElement);
    await more();
    setTimeout(() => {
      if (hadFocus && !button.current) list?.children[before]?.querySelector("a")?.focus();
    });
  }
  return (
    <p class="more" ref={button}>
      <Button onClick={load}>Load more</Button>
    </p>
  );
}

const NothingFound = ({ clear }: { clear: () => void }) => (
  <>
    <p>No key matches.</p>
    <p>
      <Button onClick={clear}>Clear the filters</Button>
    </p>
  </>
);

export const NoKeys = ({ mayCreate }: { mayCreate: boolean }) => (
  <>
    <h2>No keys yet</h2>
    <p>A key lets one client call the API, with the scopes and limits that you give it.</p>
    {mayCreate && (
      <p>
        <Link class="button primary" to="/keys/new">
          Create the first key
        </Link>
      </p>
    )}
  </>
);

function columnsFor(known: Realm[], box: (key: ApiKey) => ComponentChildren): Column<ApiKey>[] {
  const name = (key: ApiKey) => (
    <div class="with-box">
      {box(key)}
      <div>
        <KeyName apiKey={key} />
      </div>
    </div>
  );
  return [
    { title: "Name", cell: name, narrow: "first" },
    { title: "Scopes", cell: ({ scopes }) => <Scopes scopes={scopes} most={3} /> },
    { title: "Status", cell: (key) => <StatusBadge of={key} />, narrow: "end" },
    ...(known.length > 1 ? [{ title: "Realm", cell: ({ realm }: ApiKey) => realm }] : []),
    { title: "Rate limit", cell: (key) => <Limit apiKey={key} />, narrow: "hidden" },
    { title: "Created", cell: ({ createdAt }) => <Relative at={createdAt} />, narrow: "hidden" },
    { title: "Last used", cell: ({ lastUsedAt }) => <Relative at={lastUsedAt} /> },
    { title: "Expires", cell: ({ expiresAt }) => <Relative at={expiresAt} /> },
  ];
}

/** A key's name, its visible parts, and what tells it from others of that name. */
export const KeyName = ({ apiKey: key }: { apiKey: ApiKey }) => (
  <>
    <Link class="name" to={keyPage(key.id)}>
      <Typed>{key.name}</Typed>
    </Link>
    <div class="under-name">
      <code class="faint">{keyText(key)}</code>
      {key.testMode && <Badge>test</Badge>}
      {key.kind === "publishable" && <Badge>publishable</Badge>}
      {/* Both of a rotation have the same name. */}
      {key.rotatedTo !== null && <Badge>replaced</Badge>}
      {key.rotatedFrom !== null && <Badge>replacement</Badge>}
    </div>
  </>
);

const Limit = ({ apiKey: { rateLimit, effectiveRateLimit } }: { apiKey: ApiKey }) => (
  <>
    {limits(effectiveRateLimit)}
    {isInherited(rateLimit) && <div class="faint">inherited</div>}
  </>
);
