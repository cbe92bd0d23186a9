// The list of keys: views, filters, order, pages. All of that stands in the address, so that back, reload and a bookmark
// find it again.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import type { ApiKey, Member, Realm } from "../../types/admin-api.js";
import { type Query, ready, useQuery } from "../cache.ts";
import { keyText, lastFourOfKey, number, Relative, Typed } from "../format.tsx";
import {
  addressOf,
  asked,
  FILTERS,
  isNarrowed,
  isView,
  KNOWN,
  narrowing,
  PLACES,
  set,
  VIEWED,
  VIEWS,
  viewAddress,
} from "../key-views.ts";
import { keyPage } from "../paths.ts";
import {
  type KeyFilter,
  type KeysPage,
  keysQuery,
  peopleQuery,
  type RecentUsage,
  summaryQuery,
  usageQuery,
} from "../queries.ts";
import { type Address, here, rename, replace, type Screen } from "../router.ts";
import { may, mayWrite, realms } from "../session.ts";
import { Sparkline, sum } from "../ui/chart.tsx";
import { type Options, Select } from "../ui/form.tsx";
import { Committed } from "../ui/inputs.tsx";
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
import { exportKeys } from "./export-keys.tsx";
import { totalText, useSelected } from "./many-keys.tsx";

const TYPING_MS = 250;
const PAGE = 50;
/** Characters; the API takes no more. */
const LONGEST_SEARCH = 100;

const NEWEST = "created";

/** The pages that were gone on from, by the address of the next one: a cursor does not say what is before it. */
const before = new Map<string, string>();
const MOST_BEFORE = 500;

function goneOn(next: string) {
  before.set(next, here());
  for (const oldest of before.keys()) {
    if (before.size <= MOST_BEFORE) break;
    before.delete(oldest);
  }
}

export async function keysScreen({ query }: Address): Promise<Screen> {
  // At the same time, unless a key may stand in the address.
  const [known] = await Promise.all([realms(), query.size === 0 && ready(keysQuery({}))]);
  const filter = set(Object.fromEntries([...KNOWN].map((name) => [name, query.get(name)?.trim() ?? ""])));
  const pastedIntoAddress = lastFourOfKey(Object.values(filter).join(" "), known);
  if (pastedIntoAddress !== undefined) {
    replace(addressOf({ q: pastedIntoAddress }));
    return { title: "Keys", node: null };
  }
  await ready(keysQuery(asked(filter)));
  return { title: "Keys", node: <Keys known={known} first={filter} /> };
}

const NOBODY: Query<Member[]> = { key: "nobody", read: async () => [] };

function Keys({ known, first }: { known: Realm[]; first: KeyFilter }) {
  /** What stands in the fields and in the address, and what of it is asked for. */
  const [filter, setFilter] = useState(first);
  const [settled, setSettled] = useState(first);
  const [isPasted, setPasted] = useState(false);
  const [isOpen, setOpen] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const { pages, problem, isChanging, retry } = useQuery(keysQuery(asked(settled)));
  const [page] = pages;
  const keys = page?.entries ?? [];
  const usage = useQuery(usageQuery(keys.map(({ id }) => id))).pages[0];
  const summary = useQuery(summaryQuery(filter.realm ?? "")).pages[0];
  const people = useQuery(isOpen || filter.createdBy ? peopleQuery : NOBODY).pages[0] ?? [];
  const mayCreate = known.some((realm) => may("create", realm));
  // Of another filter, while its keys are not there.
  const { box, bar, said } = useSelected(page, isChanging || problem !== null ? {} : narrowing(settled));
  const from = Number(/^\d{1,7}$/.exec(settled.from ?? "")?.[0] ?? 0);

  // What is typed is asked for once nothing more is typed; what is chosen, at once.
  useEffect(() => {
    const timer = setTimeout(() => setSettled(set(filter)), filter.q === settled.q ? 0 : TYPING_MS);
    return () => clearTimeout(timer);
  }, [filter, settled.q]);

  function narrow(change: KeyFilter) {
    const { cursor: _, from: __, ...rest } = filter;
    const changed = { ...rest, ...change };
    setFilter(set(changed));
    // The address at once: whoever goes on before the list is there comes back to what was typed.
    rename(addressOf(set({ ...changed, q: changed.q?.trim() ?? "" })));
  }

  /** Of a whole key it is the last four characters that are searched for: it must not get into the address, nor to the server. */
  function typed(name: "q" | "tag", text: string) {
    const last4 = lastFourOfKey(text, known);
    setPasted(last4 !== undefined);
    narrow({ [last4 ? "q" : name]: (last4 ?? text).slice(0, LONGEST_SEARCH) });
  }

  function clear() {
    setPasted(false);
    narrow(Object.fromEntries([...KNOWN].map((name) => [name, ""])));
    search.current?.focus();
  }

  const named = (any: string, names: Iterable<string>): Options => [
    ["", any],
    ...[...names].map((name) => [name, name] as const),
  ];
  const inRealm = known.filter(({ id }) => !filter.realm || id === filter.realm);
  const own: Record<string, Options | undefined> = {
    scope: named("Any scope", new Set(inRealm.flatMap(({ scopes }) => scopes.map(({ name }) => name)))),
    createdBy: [["", "Anybody"], ...people.map(({ id, email }) => [id, email] as const)],
    realm:
      known.length > 1
        ? named(
            "Every realm",
            known.map(({ id }) => id),
          )
        : [],
    kind: known.some(({ publishable }) => publishable) ? undefined : [],
  };
  const filters = FILTERS.map(([name, label, values = []]) => ({ name, label, values: own[name] ?? values }));
  const view = VIEWS.find((one) => isView(one, filter));
  const chips = filters.filter(
    ({ name }) => filter[name] && !PLACES.includes(name) && !(view && VIEWED.some((viewed) => viewed === name)),
  );

  return (
    <>
      <TitleBar title="Keys" under={null}>
        {keys.length > 0 && <Button onClick={() => exportKeys(asked(settled), page?.total ?? 0)}>Export</Button>}
        {mayWrite() && known.some((realm) => realm.link) && (
          <Link class="button" to="/links/new">
            Create link
          </Link>
        )}
        {mayCreate && known.some((realm) => realm.imported) && (
          <Link class="button" to="/keys/import">
            Import
          </Link>
        )}
        {mayCreate && (
          <Link class="button primary" to="/keys/new">
            Create key
          </Link>
        )}
        {mayWrite() && !mayCreate && <p class="hint">Only owners can create keys.</p>}
      </TitleBar>
      <nav class="views" aria-label="Views">
        {VIEWS.map((one) => (
          <Link
            key={one.title}
            aria-current={one === view ? "page" : undefined}
            to={viewAddress(one, { realm: filter.realm ?? "", sort: filter.sort ?? "" })}
          >
            {one.title} <span class="faint">{summary && number(summary[one.count])}</span>
          </Link>
        ))}
      </nav>
      <search class="filters">
        <input
          ref={search}
          type="search"
          name="q"
          placeholder="Search name, tag or last four characters"
          aria-label="Search"
          value={filter.q ?? ""}
          onInput={({ currentTarget }) => typed("q", currentTarget.value)}
        />
        <Button aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          Filter
        </Button>
        {isOpen && (
          <div class="choices">
            {filters.map(({ name, label, values }) =>
              name === "tag" || values.length > 0 ? (
                // biome-ignore lint/a11y/noLabelWithoutControl: Select is one.
                <label key={name}>
                  {label}
                  {name === "tag" ? (
                    <Committed
                      name={name}
                      placeholder="Any tag"
                      value={filter.tag ?? ""}
                      autoComplete="off"
                      onCommit={(text) => typed(name, text)}
                    />
                  ) : (
                    <Select
                      name={name}
                      aria-label={label}
                      options={values}
                      value={filter[name] ?? ""}
                      onChange={(value) => narrow({ [name]: value })}
                    />
                  )}
                </label>
              ) : null,
            )}
          </div>
        )}
      </search>
      {chips.length > 0 && (
        <div class="chips">
          {chips.map(({ name, label, values }) => (
            <Button
              key={name}
              class="chip"
              onClick={() => {
                narrow({ [name]: "" });
                search.current?.focus();
              }}
            >
              {label}: <Typed>{values.find(([value]) => value === filter[name])?.[1] ?? filter[name]}</Typed>
              <span class="unseen">: remove</span> ×
            </Button>
          ))}
        </div>
      )}
      <p class="hint" role="status">
        {isPasted
          ? "That was a whole key. It was not sent anywhere: these are the keys with its last four characters."
          : said}
      </p>
      <Alerts>{problem !== null && <ProblemText problem={problem} retry={retry} />}</Alerts>
      <div class="under">
        {bar}
        <p class="faint" role="status">
          {page && keys.length > 0 && rangeText(page, from)}
        </p>
      </div>
      {keys.length > 0 && (
        <Table
          caption="API keys"
          columns={columnsFor(known, box, usage)}
          rows={keys}
          keyOf={({ id }) => id}
          testId="key-row"
          rowClass={({ status }) => status !== "ACTIVE" && "spent"}
          isBusy={isChanging}
          sorted={filter.sort ?? NEWEST}
          onSort={(sort) => narrow({ sort: sort === NEWEST ? "" : sort })}
        />
      )}
      {page && keys.length === 0 && (
        <div class="empty">
          {isNarrowed(settled) || from > 0 ? <NothingFound clear={clear} /> : <NoKeys mayCreate={mayCreate} />}
        </div>
      )}
      <Pager filter={settled} from={from} next={page?.nextCursor ?? null} />
    </>
  );
}

/** `51–100 of 3,214 keys` */
const rangeText = ({ entries, total, totalIsAtLeast }: KeysPage, from: number) => {
  const all = totalText(total, totalIsAtLeast);
  return entries.length < total ? `${number(from + 1)}–${number(from + entries.length)} of ${all}` : all;
};

function Pager({ filter, from, next }: { filter: KeyFilter; from: number; next: string | null }) {
  if (from === 0 && next === null) return null;
  const { cursor: _, from: __, ...begin } = filter;
  const start = addressOf(begin);
  const earlier = from > PAGE ? before.get(here()) : start;
  const later = next !== null && addressOf({ ...begin, cursor: next, from: String(from + PAGE) });
  return (
    <nav class="actions pager" aria-label="Pages">
      {from > PAGE && (
        <Link class="button" to={start}>
          First
        </Link>
      )}
      {from > 0 && earlier && (
        <Link class="button" to={earlier}>
          Previous
        </Link>
      )}
      {later && (
        <Link class="button" to={later} onClick={() => goneOn(later)}>
          Next
        </Link>
      )}
    </nav>
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

function columnsFor(
  known: Realm[],
  box: (key: ApiKey) => ComponentChildren,
  usage: Map<string, RecentUsage> | undefined,
): Column<ApiKey>[] {
  const name = (key: ApiKey) => (
    <div class="with-box">
      {box(key)}
      <div>
        <KeyName apiKey={key} />
      </div>
    </div>
  );
  return [
    { title: "Name", cell: name, narrow: "first", sort: ["name", "-name"] },
    { title: "Scopes", cell: ({ scopes }) => <Scopes scopes={scopes} most={3} /> },
    { title: "Last 24 hours", cell: (key) => <Recent apiKey={key} usage={usage?.get(key.id)} />, narrow: "brief" },
    ...(known.length > 1 ? [{ title: "Realm", cell: ({ realm }: ApiKey) => realm }] : []),
    {
      title: "Last used",
      cell: ({ lastUsedAt }) => <Relative at={lastUsedAt} />,
      sort: ["-lastUsed", "lastUsed"],
    },
    {
      title: "Expires",
      cell: ({ expiresAt }) => <Relative at={expiresAt} />,
      narrow: "brief",
      sort: ["expires", "-expires"],
    },
    {
      title: "Created",
      cell: ({ createdAt }) => <Relative at={createdAt} />,
      narrow: "hidden",
      sort: ["-created", NEWEST],
    },
    { title: "Status", cell: (key) => <StatusBadge of={key} />, narrow: "end" },
  ];
}

/** A key's name, its visible parts, and what tells it from others of that name. */
const KeyName = ({ apiKey: key }: { apiKey: ApiKey }) => (
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

/** What a key did of late, and how much of its day's limit that was. The list does not wait for it. */
function Recent({ apiKey: { effectiveRateLimit }, usage }: { apiKey: ApiKey; usage: RecentUsage | undefined }) {
  if (!usage) return null;
  const used = sum(usage.accepted);
  if (used + sum(usage.refused) === 0) return <span class="faint">No requests</span>;
  const most = effectiveRateLimit.perDay ?? null;
  return (
    <div class="recent">
      <Sparkline {...usage} />
      <span class="faint">
        {number(used)}
        {most !== null && ` of ${number(most)}`}
      </span>
    </div>
  );
}
