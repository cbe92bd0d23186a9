// Several keys at once: selected on a page of the list, or all that its filters find. One call takes no more than a hundred,
// so it goes on call by call.

import { useEffect, useRef, useState } from "preact/hooks";

import type { ApiKey, BulkChange } from "../../types/admin-api.js";
import { Problem, post } from "../api.ts";
import { number, plural } from "../format.tsx";
import type { KeyFilter, KeysPage } from "../queries.ts";
import { mayWrite } from "../session.ts";
import { useActing } from "../ui/acting.tsx";
import { Deadline } from "../ui/deadline.tsx";
import { openDialog } from "../ui/dialog.tsx";
import { Expiry, lifetimeOf, SUGGESTED } from "../ui/expiry.tsx";
import { FOCUS, Form, TextField } from "../ui/form.tsx";
import { Button, uniqueId } from "../ui/parts.tsx";

const TYPING_MS = 250;
/** A dry run looks at no more keys than this many calls take: each counts against the limit of the API. */
const MOST_DRY_CALLS = 20;

type Action = "revoke" | "pause" | "resume" | "tag" | "untag" | "expire";

interface Words {
  button: string;
  /** What it does to the keys. */
  means: string;
  /** What is then said of them. */
  done: string;
  /** What else has to be said. */
  asks?: "tag" | "expiresAt";
}

const WORDS: Record<Action, Words> = {
  revoke: {
    button: "Revoke",
    means: "Requests with them will be refused everywhere, for good. This cannot be undone.",
    done: "Revoked",
  },
  pause: { button: "Pause", means: "Requests with them will be refused until you resume them.", done: "Paused" },
  resume: { button: "Resume", means: "Requests with them will pass again.", done: "Resumed" },
  tag: { button: "Add a tag", means: "Keys can be found by their tags.", done: "Tag added", asks: "tag" },
  untag: { button: "Remove a tag", means: "They can no longer be found by it.", done: "Tag removed", asks: "tag" },
  expire: {
    button: "Set an expiry",
    means: "Requests with them will be refused from then on, whatever their expiry is now.",
    done: "Expiry set",
    asks: "expiresAt",
  },
};
const ACTIONS = Object.keys(WORDS) as Action[];

/** What is to be changed, of how many keys. */
interface Target {
  keys: { ids: string[] } | { filter: KeyFilter };
  count: number;
  isAtLeast?: boolean;
}

/** What the calls of a change did, or would do. */
interface Sum {
  calls: number;
  changed: number;
  /** How many keys were skipped, by the reason. */
  skipped: Map<string, number>;
  /** Keys of `total` that it has come to. */
  seen: number;
  total: number;
  cursor: string | null;
  isDone: boolean;
  /** Whether an answer was lost, so that more may be changed than are counted. */
  isUnsure?: boolean | undefined;
  /** Seconds for which it waits, since the API has been asked too often. */
  wait?: number;
  refusedBy?: string | undefined;
}

const noneOf = ({ count }: Target): Sum => ({
  calls: 0,
  changed: 0,
  skipped: new Map(),
  seen: 0,
  total: count,
  cursor: null,
  isDone: false,
});

function added(sum: Sum, answer: BulkChange, target: Target): Sum {
  const skipped = new Map(sum.skipped);
  const skip = (why: string, count = 1) => count > 0 && skipped.set(why, (skipped.get(why) ?? 0) + count);
  const { total = sum.total } = answer;
  // Later totals leave out what was changed.
  const isFirst = sum.calls === 0;
  if (isFirst && !target.isAtLeast) skip("There is nothing to change.", target.count - total);
  for (const { why } of answer.skipped) skip(why);
  return {
    calls: sum.calls + 1,
    changed: sum.changed + answer.count,
    skipped,
    seen: sum.seen + answer.count + answer.skipped.length,
    total: isFirst ? total : sum.total,
    cursor: answer.nextCursor ?? null,
    isDone: !answer.more,
    isUnsure: sum.isUnsure,
    refusedBy: answer.refusedEverywhereBy ?? sum.refusedBy,
  };
}

/** What is changed, once all of it is known. */
interface Change {
  action: Action;
  tag?: string;
  expiresAt?: string | null;
}

const second = () => new Promise((resolve) => setTimeout(resolve, 1000));

/** Changes keys, or with `isQuestion` says what would happen; call by call, until it is done or no longer wanted. */
async function goOn(
  from: Sum,
  target: Target,
  change: Change,
  isQuestion: boolean,
  isWanted: (sum: Sum) => boolean,
  tell: (sum: Sum) => void,
) {
  for (let sum = from; !sum.isDone && isWanted(sum); tell(sum)) {
    try {
      const body = { ...target.keys, ...change, cursor: sum.cursor, dryRun: isQuestion };
      sum = added(sum, await post("/api-keys/bulk", body, { isQuestion }), target);
    } catch (problem) {
      if (!(problem instanceof Problem && problem.status === 429 && problem.retryAfter)) throw problem;
      for (let wait = problem.retryAfter; wait > 0 && isWanted(sum); wait -= 1) {
        tell({ ...sum, wait });
        await second();
      }
    }
  }
}

/** `3,214 keys` */
export const totalText = (total: number, isAtLeast = false) => plural(total, "key") + (isAtLeast ? " or more" : "");

/** `3 keys will change. 1 key will not: There is nothing to change.` */
const text = (changed: string, { skipped, wait }: Sum, not: string) =>
  [
    changed,
    ...[...skipped].map(([why, count]) => `${plural(count, "key")} ${not}: ${why}`),
    ...(wait ? ["The API’s rate limit is reached. This goes on by itself."] : []),
  ].join(" ");

const foretoldText = (sum: Sum) =>
  (sum.isDone ? "" : `Of the first ${plural(sum.seen, "key")}: `) +
  text(`${plural(sum.changed, "key")} will change.`, sum, "will not");

function doneText(action: Action, sum: Sum, foretold: Sum) {
  const [count, total] = [plural(sum.changed, "key"), number(sum.total)];
  const isOther = foretold.calls > 0 && sum.calls > 0 && foretold.total !== sum.total;
  return text(
    `${WORDS[action].done}: ${sum.isUnsure && sum.changed < sum.total ? "at least " : ""}${count}${sum.isDone ? "" : ` of ${total}`}.${
      isOther ? ` The filter finds ${total} now; it was ${number(foretold.total)}.` : ""
    }`,
    sum,
    "not changed",
  );
}

/** Keys that are selected: a box for each, one for all, and what can be done with them. `filter`: what has found them. */
export function useSelected(page: KeysPage | undefined, filter: KeyFilter) {
  const { entries: keys = [], total = 0, totalIsAtLeast = false } = page ?? {};
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  /** The filter of which all was selected. */
  const [allOf, setAllOf] = useState("");
  const [result, setResult] = useState({ text: "", refusedBy: "" });
  const { act, alerts } = useActing();
  const forAll = useRef<HTMLInputElement>(null);
  const selected = keys.map(({ id }) => id).filter((id) => ids.has(id));
  const finds = new URLSearchParams(filter).toString();
  const isAll = finds !== "" && finds === allOf;
  const isFull = isAll || selected.length === keys.length;
  const hasAny = isAll || selected.length > 0;

  function select(now: Iterable<string>) {
    setIds(new Set(now));
    setAllOf("");
  }

  async function run(action: Action) {
    const target = isAll
      ? { keys: { filter }, count: total, isAtLeast: totalIsAtLeast }
      : { keys: { ids: selected }, count: selected.length };
    let first = noneOf(target);
    setResult({ text: "", refusedBy: "" });
    // A tag and a time are given in the dialog.
    if (WORDS[action].asks === undefined) {
      const once = ({ calls }: Sum) => calls === 0;
      await goOn(first, target, { action }, true, once, (sum) => {
        first = sum;
      });
    }
    const id = uniqueId();
    const tell = (sum: Sum, foretold: Sum) => {
      select([]);
      setResult({ text: doneText(action, sum, foretold), refusedBy: sum.refusedBy ?? "" });
    };
    await openDialog({
      labelledBy: id,
      children: (close) => <Many id={id} action={action} target={target} first={first} close={close} tell={tell} />,
    });
  }

  const box = ({ id, name }: ApiKey) =>
    mayWrite() && (
      <input
        type="checkbox"
        aria-label={`Select ${name}`}
        checked={isAll || ids.has(id)}
        onChange={({ currentTarget }) =>
          select(currentTarget.checked ? [...ids, id] : [...ids].filter((one) => one !== id))
        }
      />
    );

  let label = hasAny ? `${selected.length} selected` : "Select all shown";
  if (isAll) label = `All ${totalText(total, totalIsAtLeast)} selected`;

  const bar = mayWrite() && (
    <>
      {result.refusedBy && (
        <Deadline
          key={result.refusedBy}
          label="Refused everywhere by"
          at={result.refusedBy}
          passed="they work nowhere any more"
          testId="refused-by"
        />
      )}
      {alerts}
      {keys.length > 0 && (
        <div class="chosen">
          <label>
            <input
              type="checkbox"
              ref={forAll}
              checked={isFull}
              onChange={({ currentTarget }) => select(currentTarget.checked ? keys.map(({ id }) => id) : [])}
            />
            {label}
          </label>
          {isFull && !isAll && finds && total > keys.length && (
            <Button
              class="small"
              onClick={() => {
                setAllOf(finds);
                // This button goes with that, and that one's label says what is selected.
                forAll.current?.focus();
              }}
            >
              Select all {totalText(total, totalIsAtLeast)} that this finds
            </Button>
          )}
          {hasAny &&
            ACTIONS.map((action) => (
              <Button
                key={action}
                class={action === "revoke" ? "danger small" : "small"}
                onClick={() => act(() => run(action))}
              >
                {WORDS[action].button}
              </Button>
            ))}
        </div>
      )}
    </>
  );
  return { box, bar, said: result.text };
}

interface ManyProps {
  id: string;
  action: Action;
  target: Target;
  /** What a first call would do, if that is known without asking further. */
  first: Sum;
  close: () => void;
  tell: (sum: Sum, foretold: Sum) => void;
}

/** Says what would happen, asks for what else is needed, and does it, which can be stopped and gone on with. */
function Many({ id, action, target, first, close, tell }: ManyProps) {
  const [tag, setTag] = useState("");
  const [lifetime, setLifetime] = useState(() => lifetimeOf(SUGGESTED));
  const [foretold, setForetold] = useState(first);
  const [sum, setSum] = useState(() => noneOf(target));
  const [isRunning, setRunning] = useState(false);
  const isWanted = useRef(true);
  const { button, means, asks } = WORDS[action];
  const { expiresAt } = lifetime;
  const change: Change = { action, ...(asks === "tag" && { tag }), ...(asks === "expiresAt" && { expiresAt }) };
  const hasBegun = sum.calls > 0 || sum.isUnsure === true;
  const isFilter = "filter" in target.keys;
  const count = isFilter || asks ? foretold.total : first.changed;

  useEffect(() => {
    if (isRunning || hasBegun) return;
    setForetold(first);
    if (asks && !change[asks]?.trim()) return;
    let isLate = false;
    const timer = setTimeout(
      () =>
        // What is wrong is said beside its field, once it is sent.
        goOn(
          first,
          target,
          change,
          true,
          ({ calls }) => !isLate && calls < MOST_DRY_CALLS,
          (would) => isLate || setForetold(would),
        ).catch(() => {}),
      asks ? TYPING_MS : 0,
    );
    return () => {
      isLate = true;
      clearTimeout(timer);
    };
  }, [tag, expiresAt, isRunning]);

  const rest = hasBegun ? "Close" : "Cancel";
  const stop = () => {
    isWanted.current = false;
  };
  useEffect(() => stop, []);

  async function run() {
    let now = sum;
    const goneOn = (next: Sum) => {
      now = next;
      setSum(next);
      tell(next, foretold);
    };
    isWanted.current = true;
    setRunning(true);
    try {
      await goOn(now, target, change, false, () => isWanted.current, goneOn);
    } catch (problem) {
      if (!(problem instanceof Problem && problem.passing)) throw problem;
      goneOn({ ...now, isUnsure: true });
      throw problem.status ? problem : problem.reworded("The server did not answer. Go on: nothing is done twice.");
    } finally {
      setRunning(false);
    }
    if (now.isDone) close();
  }

  return (
    <>
      <h2 id={id}>
        {button}: {plural(count, "key")}
      </h2>
      <Form
        submit={hasBegun && !isRunning ? "Go on" : button}
        danger={action === "revoke"}
        onSubmit={run}
        cancel={<Button onClick={isRunning ? stop : close}>{isRunning ? "Stop" : rest}</Button>}
      >
        <p>{means}</p>
        {!hasBegun && asks === "tag" && (
          <TextField
            name="tag"
            label="Tag"
            required
            value={tag}
            onInput={({ currentTarget }) => setTag(currentTarget.value)}
            {...FOCUS}
          />
        )}
        {!hasBegun && asks === "expiresAt" && <Expiry value={lifetime} set={setLifetime} />}
        {isFilter && (isRunning || hasBegun) && <progress aria-label="Keys" max={sum.total} value={sum.seen} />}
        <p class="hint" role="status">
          {isRunning || hasBegun ? doneText(action, sum, foretold) : foretold.calls > 0 && foretoldText(foretold)}
        </p>
      </Form>
    </>
  );
}
