// What was read from the API, for as long as the page is open: a screen that is gone back to is there at once, as long as
// it was and where it was scrolled to. What may have changed is read again: after a write, and when the window is looked
// at again. Nothing of it is stored.

import { useEffect, useReducer, useRef } from "preact/hooks";

/** Lists that are kept; those that were looked at longest ago go first. */
const MOST = 40;
/** Younger than this, it is shown without being read again. */
const FRESH_MS = 5_000;

/** Reads one page: from the beginning, or from a cursor on. */
export type Reader<Data> = (cursor: string | null) => Promise<Data>;

/** Some data under a name, and how to read it. Of a list, `next` tells a page's cursor. */
export interface Query<Data> {
  key: string;
  read: Reader<Data>;
  next?(page: Data): string | null;
}

class Entry<Data> {
  pages: Data[] = [];
  problem: unknown = null;
  readAt = 0;
  isStale = true;
  readonly watchers = new Set<() => void>();
  query: Query<Data>;
  #reading: Promise<void> | null = null;
  #turn = 0;

  constructor(query: Query<Data>) {
    this.query = query;
  }

  get isReading() {
    return this.#reading !== null;
  }

  get cursor() {
    const last = this.pages.at(-1);
    return last === undefined ? null : (this.query.next?.(last) ?? null);
  }

  get isFresh() {
    return !this.isStale && Date.now() - this.readAt < FRESH_MS;
  }

  /** Reads as many pages as there are, anew; at least one. */
  refresh() {
    return this.#run(async () => {
      const pages: Data[] = [];
      let cursor: string | null = null;
      do {
        const page: Data = await this.query.read(cursor);
        pages.push(page);
        cursor = this.query.next?.(page) ?? null;
      } while (cursor !== null && pages.length < this.pages.length);
      return pages;
    });
  }

  /** Reads the page after the last one. Asked twice, it is read once. */
  more() {
    const { cursor } = this;
    if (this.isReading || cursor === null) return this.#reading ?? Promise.resolve();
    return this.#run(async () => [...this.pages, await this.query.read(cursor)]);
  }

  async #run(work: () => Promise<Data[]>) {
    this.#turn += 1;
    const turn = this.#turn;
    this.isStale = false;
    const reading = work().then(
      (pages) => {
        if (turn !== this.#turn) return;
        this.pages = pages;
        this.problem = null;
        this.readAt = Date.now();
      },
      (problem) => {
        if (turn !== this.#turn) return;
        this.problem = problem;
        this.isStale = true;
      },
    );
    this.#reading = reading;
    this.changed();
    await reading;
    if (turn !== this.#turn) return;
    this.#reading = null;
    this.changed();
    // Something was written meanwhile.
    if (this.isStale && this.problem === null && this.watchers.size > 0) void this.refresh();
  }

  changed() {
    for (const watcher of this.watchers) watcher();
  }
}

// biome-ignore lint/suspicious/noExplicitAny: each key has data of its own.
const entries = new Map<string, Entry<any>>();

function entryOf<Data>(query: Query<Data>): Entry<Data> {
  const entry: Entry<Data> = entries.get(query.key) ?? new Entry(query);
  entry.query = query;
  entries.delete(query.key);
  entries.set(query.key, entry);
  for (const [key, { watchers }] of entries) {
    if (entries.size <= MOST) break;
    if (watchers.size === 0 && key !== query.key) entries.delete(key);
  }
  return entry;
}

/** For a screen that is about to be shown: what is there already, unless something was written since; else it is read. */
export async function ready<Data>(query: Query<Data>): Promise<Data> {
  const entry = entryOf(query);
  if (entry.isStale) await entry.refresh();
  else if (entry.pages.length === 0) await entry.more();
  if (entry.problem !== null) throw entry.problem;
  return entry.pages[0];
}

/** The same, but as it is now, not as it was. */
export async function fresh<Data>(query: Query<Data>): Promise<Data> {
  entryOf(query).isStale = true;
  return ready(query);
}

/** Something was written: what is shown is read again, and the rest when it is shown. */
export function invalidate() {
  for (const entry of entries.values()) entry.isStale = true;
  // After whatever wrote has shown its result.
  setTimeout(refreshShown);
}

/** Forgets everything. */
export function clear() {
  entries.clear();
}

function refreshShown() {
  for (const entry of entries.values()) {
    if (entry.watchers.size > 0 && !entry.isFresh && !entry.isReading) void entry.refresh();
  }
}

/** Reads again all that is shown and could not be read: one cause has often kept several things away. */
async function retryShown() {
  const failed = [...entries.values()].filter(({ watchers, problem }) => watchers.size > 0 && problem !== null);
  await Promise.all(failed.map((entry) => entry.refresh()));
}

addEventListener("focus", refreshShown);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refreshShown());

/** What a component shows of a query. */
export interface Shown<Data> {
  /** The pages; while those of another query are read, still the ones before. */
  pages: Data[];
  problem: unknown;
  /** Whether what is shown is not yet what is asked for. */
  isChanging: boolean;
  hasMore: boolean;
  more: () => Promise<void>;
  retry: () => Promise<void>;
}

/** A query's data, kept as it is now for as long as the component is there. */
export function useQuery<Data>(query: Query<Data>): Shown<Data> {
  const [, rerender] = useReducer((count: number, _: undefined) => count + 1, 0);
  const entry = entryOf(query);
  const before = useRef<Data[]>([]);
  useEffect(() => {
    const watch = () => rerender(undefined);
    entry.watchers.add(watch);
    if (!entry.isFresh && !entry.isReading) void entry.refresh();
    else watch();
    return () => {
      entry.watchers.delete(watch);
    };
  }, [entry]);
  if (entry.pages.length > 0) before.current = entry.pages;
  return {
    pages: entry.pages.length > 0 ? entry.pages : before.current,
    problem: entry.problem,
    isChanging: entry.pages.length === 0 && entry.isReading,
    hasMore: entry.cursor !== null,
    more: () => entry.more(),
    retry: retryShown,
  };
}
