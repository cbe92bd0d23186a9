// Times that are waited for, counted down.

import type { ComponentChildren } from "preact";
import { useEffect, useReducer, useRef, useState } from "preact/hooks";

import { untilServerTime } from "../api.ts";
import { clock, duration } from "../format.tsx";

/** Shows the component anew every so often, while `isWaiting`. */
function useTicks(isWaiting: boolean, everyMs: number) {
  const [, tick] = useReducer((count: number, _: undefined) => count + 1, 0);
  useEffect(() => {
    if (!isWaiting) return;
    const timer = setInterval(() => tick(undefined), everyMs);
    return () => clearInterval(timer);
  }, [isWaiting, everyMs]);
}

interface DeadlineProps {
  label: string;
  at: string;
  /** What holds from that time on. */
  passed: ComponentChildren;
  testId: string;
  takesFocus?: boolean;
}

/**
 * A statement about a time that the server promised: `Refused everywhere by 14:03:25`, with what is left of it counted down,
 * and said once it has passed.
 */
export function Deadline({ label, at, passed, testId, takesFocus }: DeadlineProps) {
  const element = useRef<HTMLParagraphElement>(null);
  const seconds = Math.ceil(untilServerTime(at) / 1000);
  const isWaiting = seconds > 0;
  useTicks(isWaiting, 250);
  useEffect(() => {
    if (takesFocus) element.current?.focus();
  }, [takesFocus]);
  return (
    <p
      ref={element}
      class={isWaiting ? "deadline" : "deadline passed"}
      role="status"
      tabIndex={-1}
      data-testid={testId}
    >
      <strong>
        {label} <time dateTime={at}>{clock(at)}</time>
      </strong>
      <span class="rest" aria-hidden="true">
        {isWaiting && ` · in ${seconds} s`}
      </span>
      <span>{!isWaiting && <> · {passed}</>}</span>
    </p>
  );
}

/** When to try again, after this many seconds; read out once, then only the number changes. */
export function Wait({ seconds }: { seconds: number }) {
  const [until] = useState(() => Date.now() + seconds * 1000);
  const left = Math.ceil((until - Date.now()) / 1000);
  useTicks(left > 0, 1000);
  if (left <= 0) return <p>You can try again now.</p>;
  return (
    <p>
      Try again in <span aria-live="off">{duration(left)}</span>.
    </p>
  );
}
