// Things that are done from a list, which is read anew after each.

import { useState } from "preact/hooks";

import { Alerts, announce, ProblemText } from "./parts.tsx";

/** A function that does something (null: it was called off) and may say what was done; and what went wrong. */
export function useActing() {
  const [problem, setProblem] = useState<unknown>(null);
  async function act(work: () => Promise<unknown>, done = "") {
    setProblem(null);
    try {
      if ((await work()) !== null && done) announce(done);
    } catch (caught) {
      setProblem(caught);
    }
  }
  return { act, alerts: <Alerts>{problem !== null && <ProblemText problem={problem} />}</Alerts> };
}
