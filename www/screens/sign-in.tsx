// Sign-in, and back to where one was.

import { useEffect, useState } from "preact/hooks";

import { get } from "../api.ts";
import { offered } from "../passkeys.ts";
import { type Address, HOME, replace, type Screen } from "../router.ts";
import { hasPasswords, issuerName, signIn, signInByIssuer } from "../session.ts";
import { Form } from "../ui/form.tsx";
import { Alerts, Heading, Link, ProblemText } from "../ui/parts.tsx";
import { AtIssuer, ByPasskey, SignInFields, signInWith } from "../ui/sign-in-form.tsx";

export const signInScreen = ({ query }: Address): Screen => ({
  title: "Sign in",
  node: <SignIn next={query.get("next")} />,
});

function SignIn({ next }: { next: string | null }) {
  useEffect(() => {
    let isGone = false;
    // While there is no member, set-up comes first.
    get("/setup", undefined, { anonymous: true }).then(
      ({ open }) => open && !isGone && replace("/set-up"),
      () => {},
    );
    return () => {
      isGone = true;
    };
  }, []);
  const [problem, setProblem] = useState<unknown>(null);
  useEffect(() => {
    const own = new AbortController();
    const use = async () => {
      const passkey = await offered(own).catch(() => null);
      if (!passkey || own.signal.aborted) return;
      await signIn({ passkey });
      goOn();
    };
    if (hasPasswords) use().catch(setProblem);
    return () => own.abort();
  }, []);
  // Only ever a path of this page: it becomes a hash, never another address.
  const wanted = next?.startsWith("/") ? next : HOME;
  const goOn = () => replace(wanted);
  return (
    <div class="narrow">
      <Heading>Sign in</Heading>
      {next && <p>Your session has ended, or you are not signed in yet. Sign in to go on where you were.</p>}
      {issuerName && (
        <Form
          submit={`Sign in with ${issuerName}`}
          onSubmit={async () => {
            await signInByIssuer(wanted);
            goOn();
          }}
        >
          <AtIssuer />
        </Form>
      )}
      {hasPasswords ? (
        <Form
          submit="Sign in"
          cancel={<ByPasskey />}
          onSubmit={async (values) => {
            await signInWith(values);
            goOn();
          }}
        >
          {problem !== null && (
            <Alerts>
              <ProblemText problem={problem} />
            </Alerts>
          )}
          <SignInFields />
        </Form>
      ) : (
        !issuerName && <AtIssuer />
      )}
      <p class="aside">
        {hasPasswords && "Forgot your password? An owner can send you a link for a new one. "}No owner left?{" "}
        <Link to="/recover">Recover the deployment</Link>.
      </p>
    </div>
  );
}
