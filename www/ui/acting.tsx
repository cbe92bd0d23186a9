// Things that are done from a list, which is read anew after each.

import { useRef, useState } from "preact/hooks";

import { Alerts, announce, ProblemText } from "./parts.tsx";

/** A function that does something (null: it was called off) and may say what was done; and what went wrong. */
export function useActing() {
  const [problem, setProblem] = useState<unknown>(null);
  const isActing = useRef(false);
  /** One at a time: what is pressed meanwhile does nothing. */
  async function act(work: () => Promise<unknown>, done = "") {
    if (isActing.current) return;
    isActing.current = true;
    setProblem(null);
    try {
      if ((await work()) !== null && done) announce(done);
    } catch (caught) {
      setProblem(caught);
    } finally {
      isActing.current = false;
    }
  }
  return { act, alerts: <Alerts>{problem !== null && <ProblemText problem={problem} />}</Alerts> };
}
