// Several keys at once: chosen on a page of the list, which has fewer than one call takes.

import { useEffect, useState } from "preact/hooks";

import type { ApiKey, BulkChange } from "../../types/admin-api.js";
import { post } from "../api.ts";
import { plural } from "../format.tsx";
import { mayWrite } from "../session.ts";
import { useActing } from "../ui/acting.tsx";
import { Deadline } from "../ui/deadline.tsx";
import { ask } from "../ui/dialog.tsx";
import { Expiry, lifetimeOf, SUGGESTED } from "../ui/expiry.tsx";
import { FOCUS, TextField } from "../ui/form.tsx";
import { Button } from "../ui/parts.tsx";

const TYPING_MS = 250;

type Action = "revoke" | "pause" | "resume" | "tag" | "expire";

interface Words {
  button: string;
  /** What it does to the keys. */
  means: string;
  /** What they are then. */
  done: string;
}

const WORDS: Record<Action, Words> = {
  revoke: {
    button: "Revoke",
    means: "Requests with them will be refused everywhere, for good. This cannot be undone.",
    done: "revoked",
  },
  pause: { button: "Pause", means: "Requests with them will be refused until you resume them.", done: "paused" },
  resume: { button: "Resume", means: "Requests with them will pass again.", done: "resumed" },
  tag: { button: "Add a tag", means: "Keys can be found by their tags.", done: "tagged" },
  expire: {
    button: "Set an expiry",
    means: "Requests with them will be refused from then on, whatever their expiry is now.",
    done: "set to expire",
  },
};
const ACTIONS = Object.keys(WORDS) as Action[];

/** What is done, once all of it is known. */
interface Change {
  action: Action;
  tag?: string;
  expiresAt?: string | null;
}

/** Does this to keys, or says what it would do. */
const change = (ids: string[], body: Change & { dryRun?: boolean }): Promise<BulkChange> =>
  post("/api-keys/bulk", { ids, ...body });

/** Keys of the list that are chosen: a box for each, one for all, and what can be done with them. */
export function useChosen(keys: ApiKey[]) {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const [refusedBy, setRefusedBy] = useState<string | null>(null);
  const { act, alerts } = useActing();
  const chosen = keys.map(({ id }) => id).filter((id) => ids.has(id));

  async function run(action: Action) {
    const asked = await askFor(action, chosen);
    if (asked) {
      setIds(new Set());
      setRefusedBy(asked.answer.refusedEverywhereBy ?? null);
    }
    return asked;
  }

  const choose = (id: string, isChosen: boolean) => {
    const changed = new Set(ids);
    if (isChosen) changed.add(id);
    else changed.delete(id);
    setIds(changed);
  };

  const box = ({ id, name }: ApiKey) =>
    mayWrite() && (
      <input
        type="checkbox"
        aria-label={`Choose ${name}`}
        checked={ids.has(id)}
        onChange={({ currentTarget }) => choose(id, currentTarget.checked)}
      />
    );

  const bar = mayWrite() && (
    <>
      {refusedBy !== null && (
        <Deadline
          key={refusedBy}
          label="Refused everywhere by"
          at={refusedBy}
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
              checked={chosen.length > 0 && chosen.length === keys.length}
              onChange={({ currentTarget }) => setIds(new Set(currentTarget.checked ? keys.map(({ id }) => id) : []))}
            />
            {chosen.length > 0 ? `${chosen.length} chosen` : "Choose all that are shown"}
          </label>
          {chosen.length > 0 &&
            ACTIONS.map((action) => (
              <Button
                key={action}
                class={action === "revoke" ? "danger small" : "small"}
                onClick={() => act(() => run(action), `The keys are ${WORDS[action].done}.`)}
              >
                {WORDS[action].button}
              </Button>
            ))}
        </div>
      )}
    </>
  );
  return { box, bar };
}

/** Says what would happen, and does it if that is what was meant. */
async function askFor(action: Action, ids: string[]) {
  const { button, means } = WORDS[action];
  // A tag and a time are chosen in the dialog.
  let wanted: Change = { action };
  const isChosenThere = action === "tag" || action === "expire";
  const first = isChosenThere ? null : await change(ids, { ...wanted, dryRun: true });
  return ask({
    title: `${button}: ${plural(first?.count ?? ids.length, "key")}`,
    submit: button,
    danger: action === "revoke",
    onSubmit: () => change(ids, wanted),
    body: (
      <>
        <p>{means}</p>
        <Asked
          ids={ids}
          action={action}
          first={first}
          set={(chosen) => {
            wanted = chosen;
          }}
        />
      </>
    ),
  });
}

interface AskedProps {
  ids: string[];
  action: Action;
  first: BulkChange | null;
  set: (wanted: Change) => void;
}

/** What else has to be said, and what would happen then. */
function Asked({ ids, action, first, set }: AskedProps) {
  const [tag, setTag] = useState("");
  const [lifetime, setLifetime] = useState(() => lifetimeOf(SUGGESTED));
  const [foretold, setForetold] = useState(first);
  const { expiresAt } = lifetime;
  const wanted: Change = { action, ...(action === "tag" && { tag }), ...(action === "expire" && { expiresAt }) };
  set(wanted);

  useEffect(() => {
    if (first !== null) return;
    setForetold(null);
    if (!(action === "tag" ? tag.trim() : expiresAt)) return;
    let isLate = false;
    const timer = setTimeout(async () => {
      // What is wrong is said beside its field, once it is sent.
      const would = await change(ids, { ...wanted, dryRun: true }).catch(() => null);
      if (!isLate) setForetold(would);
    }, TYPING_MS);
    return () => {
      isLate = true;
      clearTimeout(timer);
    };
  }, [tag, expiresAt]);

  return (
    <>
      {action === "tag" && (
        <TextField
          name="tag"
          label="Tag"
          required
          value={tag}
          onInput={({ currentTarget }) => setTag(currentTarget.value)}
          {...FOCUS}
        />
      )}
      {action === "expire" && <Expiry value={lifetime} set={setLifetime} />}
      <p class="hint" role="status">
        {foretold && foretoldText(foretold)}
      </p>
    </>
  );
}

/** `3 keys will change. 1 key will not: There is nothing to change.` */
function foretoldText({ count, skipped }: BulkChange) {
  const whys = [...new Set(skipped.map(({ why }) => why))].join(" ");
  return `${plural(count, "key")} will change.${skipped.length > 0 ? ` ${plural(skipped.length, "key")} will not: ${whys}` : ""}`;
}
