// When a key ends: some days from now, at a time of one's own, or never; and what that is in words.

import { Time } from "../format.tsx";
import { Group, LocalTime, localTimeOf, type Options, Pills } from "./form.tsx";

const DAY_MS = 86_400_000;
/** Of the choices, the one for a time of one's own. */
export const AT_A_TIME = "date";
/** Days that are suggested for a new key. */
export const SUGGESTED = "90";

const DAYS: Options = [
  ["30", "30 days"],
  [SUGGESTED, "90 days"],
  ["365", "A year"],
];
const NEVER: Options = [["", "Never"]];
const A_DATE: Options = [[AT_A_TIME, "A date"]];

export interface Lifetime {
  /** What was chosen. */
  lifetime: string;
  /** Counted from the choice, so that a form that is sent twice says the same. */
  expiresAt: string | null;
}

const wholeSeconds = (time: number) => new Date(time).toISOString().replace(/\.\d+Z$/, "Z");

export const lifetimeOf = (lifetime: string): Lifetime => ({
  lifetime,
  expiresAt: lifetime ? wholeSeconds(Date.now() + Number(lifetime) * DAY_MS) : null,
});

interface ExpiryProps {
  value: Lifetime;
  set: (value: Lifetime) => void;
  /** Whether it may be none. */
  hasNever?: boolean;
}

export function Expiry({ value: { lifetime, expiresAt }, set, hasNever }: ExpiryProps) {
  const isOwnTime = lifetime === AT_A_TIME;
  return (
    <Group name="expiresAt" legend="Expires">
      <Pills
        name="lifetime"
        options={[...DAYS, ...(hasNever ? NEVER : []), ...A_DATE]}
        value={lifetime}
        onChange={(chosen) =>
          set(chosen === AT_A_TIME ? { lifetime: chosen, expiresAt: expiresAt ?? "" } : lifetimeOf(chosen))
        }
      />
      <LocalTime
        name="expiresAt"
        label="Time of expiry"
        value={isOwnTime ? localTimeOf(expiresAt) : ""}
        hidden={!isOwnTime}
        // An empty time goes to the server as it is, which says what is wrong with it.
        onChange={(local) => set({ lifetime, expiresAt: local && wholeSeconds(new Date(local).getTime()) })}
      />
      <p class="hint">
        {expiresAt ? (
          <>
            Refused from <Time at={expiresAt} /> on.
          </>
        ) : (
          !isOwnTime && "Works until somebody revokes it."
        )}
      </p>
    </Group>
  );
}
