// Sign-in, and back to where one was.

import { useEffect } from "preact/hooks";

import { get } from "../api.ts";
import { type Address, replace, type Screen } from "../router.ts";
import { Form } from "../ui/form.tsx";
import { Heading, Link } from "../ui/parts.tsx";
import { ByPasskey, SignInFields, signInWith } from "../ui/sign-in-form.tsx";

export const signInScreen = ({ query }: Address): Screen => ({
  title: "Sign in",
  node: <SignIn next={query.get("next")} />,
});

function SignIn({ next }: { next: string | null }) {
  useEffect(() => {
    // Where nobody is, nobody can sign in.
    get("/setup", undefined, { anonymous: true }).then(
      ({ open }) => open && replace("/set-up"),
      () => {},
    );
  }, []);
  return (
    <div class="narrow">
      <Heading>Sign in</Heading>
      {next && <p>Your session has ended, or you are not signed in yet. Sign in to go on where you were.</p>}
      <Form
        submit="Sign in"
        cancel={<ByPasskey />}
        onSubmit={async (values) => {
          await signInWith(values);
          // Only ever a path of this page: it becomes a hash, never another address.
          replace(next?.startsWith("/") ? next : "/overview");
        }}
      >
        <SignInFields />
      </Form>
      <p class="aside">
        Forgot your password? An owner can send you a link for a new one. No owner left?{" "}
        <Link to="/recover">Recover the deployment</Link>.
      </p>
    </div>
  );
}
