// Where the issuer sends people back to: finishes what was begun, in this window or in the one beside it.

import { useEffect, useState } from "preact/hooks";

import { codeOf, handOver, returnedOnce } from "../issuer.ts";
import { replace, type Screen } from "../router.ts";
import { begin, issuer } from "../session.ts";
import { Alerts, Heading, Link, ProblemText } from "../ui/parts.tsx";

export const signedInScreen = (): Screen => ({ title: "Sign in", node: <SignedIn /> });

function SignedIn() {
  const [returned] = useState(returnedOnce);
  const [problem, setProblem] = useState<unknown>(null);
  const isBeside = returned?.next === null;
  useEffect(() => {
    const { query, next } = returned ?? { query: null, next: null };
    if (query && next === null) return handOver(query);
    if (query && next !== null) (async () => begin(codeOf(query)))().then(() => replace(next), setProblem);
    return undefined;
  }, []);
  return (
    <div class="narrow">
      <Heading>{isBeside ? `Back from ${issuer?.name}` : "Sign in"}</Heading>
      <Alerts>{problem !== null && <ProblemText problem={problem} />}</Alerts>
      {isBeside && <p>Go on in the window in which you began. You can close this one.</p>}
      {returned && !isBeside && problem === null ? (
        <p>Signing you in…</p>
      ) : (
        <p class={isBeside ? "aside" : undefined}>
          <Link to={signInAgain(returned?.next)}>{isBeside ? "Sign in in this window" : "Back to sign-in"}</Link>
        </p>
      )}
    </div>
  );
}

const signInAgain = (next: string | null | undefined) =>
  next ? `/sign-in?${new URLSearchParams({ next })}` : "/sign-in";
