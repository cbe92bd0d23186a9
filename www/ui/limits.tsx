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
}

export function LimitFields({ draft, limits, onChange }: LimitsProps) {
  const fields = (isShown: (window: Window) => boolean) => (
    <div class="pair">
      {WINDOWS.map(
        ([window, words]) =>
          isShown(window) && (
            <TextField
              key={window}
              name={`rateLimit.${window}`}
              label={`Requests ${words}`}
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
    <Group name="rateLimit" legend="Rate limit">
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
  return [
    `Inherited: ${inherited == null ? "no limit" : number(inherited)}.`,
    most != null && `At most ${number(most)}.`,
  ]
    .filter(Boolean)
    .join(" ");
}
