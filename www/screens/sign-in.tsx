// Sign-in, and back to where one was.

import { useEffect } from "preact/hooks";

import { get } from "../api.ts";
import { type Address, HOME, replace, type Screen } from "../router.ts";
import { hasPasswords, proxyName, signInByProxy } from "../session.ts";
import { Form } from "../ui/form.tsx";
import { Heading, Link } from "../ui/parts.tsx";
import { AtIssuer, ByPasskey, SIGN_IN, SignInFields, signInWith } from "../ui/sign-in-form.tsx";

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
  // Only ever a path of this page: it becomes a hash, never another address.
  const goOn = () => replace(next?.startsWith("/") ? next : HOME);
  return (
    <div class="narrow">
      <Heading>Sign in</Heading>
      {next && <p>Your session has ended, or you are not signed in yet. Sign in to go on where you were.</p>}
      {hasPasswords && proxyName && (
        <Form
          submit={`Sign in with ${proxyName}`}
          onSubmit={async () => {
            await signInByProxy();
            goOn();
          }}
        >
          <AtIssuer />
        </Form>
      )}
      {hasPasswords || proxyName ? (
        <Form
          submit={SIGN_IN}
          cancel={<ByPasskey />}
          onSubmit={async (values) => {
            await signInWith(values);
            goOn();
          }}
        >
          <SignInFields />
        </Form>
      ) : (
        <AtIssuer />
      )}
      <p class="aside">
        {hasPasswords && "Forgot your password? An owner can send you a link for a new one. "}No owner left?{" "}
        <Link to="/recover">Recover the deployment</Link>.
      </p>
    </div>
  );
}
