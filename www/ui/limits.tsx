// The limits of a key or tenant, as they are typed.

import type { RateLimit, Realm, TypedRateLimit } from "../../types/admin-api.js";
import { number, WINDOWS, type Window } from "../format.tsx";
import { Folded, Group, TextField, wholeNumber } from "./form.tsx";

/** What stands in the fields. */
export type LimitDraft = Record<Window, string>;

/** What is often set; the others are folded. */
const USUAL: Window[] = ["perMinute", "perDay"];

/** Runs `work` for each window. */
export function eachWindow<Result>(work: (window: Window) => Result) {
  return Object.fromEntries(WINDOWS.map(([window]) => [window, work(window)])) as Record<Window, Result>;
}

export const limitDraft = (own?: RateLimit): LimitDraft => eachWindow((window) => String(own?.[window] ?? ""));

/** What is typed, for the API: blank inherits. */
export const limitOf = (draft: (window: Window) => string): TypedRateLimit =>
  eachWindow((window) => {
    const text = draft(window).trim();
    return text === "" ? null : wholeNumber(text);
  });

interface LimitsProps {
  draft: LimitDraft;
  /** The realm's, which say what blank means. */
  limits?: Realm["limits"];
  /** Without it the fields keep to themselves what is typed, for a form that reads them when it is sent. */
  onChange?: (draft: LimitDraft) => void;
  /** Whether they are of all keys of a tenant together. */
  isPool?: boolean;
}

export function LimitFields({ draft, limits, onChange, isPool }: LimitsProps) {
  const name = isPool ? "pool" : "rateLimit";
  const fields = (isShown: (window: Window) => boolean) => (
    <div class="pair">
      {WINDOWS.map(
        ([window, words]) =>
          isShown(window) && (
            <TextField
              key={window}
              name={`${name}.${window}`}
              label={`${isPool ? "All keys" : "Requests"} ${words}`}
              hint={limits && limitHint(limits, window)}
              inputMode="numeric"
              {...(onChange
                ? {
                    value: draft[window],
                    onInput: ({ currentTarget }) => onChange({ ...draft, [window]: currentTarget.value }),
                  }
                : { defaultValue: draft[window] })}
            />
          ),
      )}
    </div>
  );
  const isUsual = (window: Window) => USUAL.includes(window);
  const isMore = (window: Window) => !isUsual(window);
  return (
    <Group name={name} legend={isPool ? "Limit of all keys together" : "Rate limit"}>
      <p class="hint">Leave blank to inherit.</p>
      {fields(isUsual)}
      <Folded title="More limits" isOpen={WINDOWS.some(([window]) => isMore(window) && draft[window] !== "")}>
        {fields(isMore)}
      </Folded>
    </Group>
  );
}

function limitHint(limits: Realm["limits"], window: Window) {
  const inherited = limits.inherited[window];
  const most = limits.maximum[window];
  const together = limits.pool[window];
  return [
    `Inherited: ${inherited == null ? "no limit" : number(inherited)}.`,
    most != null && `At most ${number(most)}.`,
    together != null && `All keys together: ${number(together)}.`,
  ]
    .filter(Boolean)
    .join(" ");
}
