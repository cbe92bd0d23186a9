// Sign-in, and back to where one was.

import { type Address, replace, type Screen } from "../router.ts";
import { Form } from "../ui/form.tsx";
import { Heading, Link } from "../ui/parts.tsx";
import { SignInFields, signInWith } from "../ui/sign-in-form.tsx";

export function signInScreen({ query }: Address): Screen {
  const next = query.get("next");
  const node = (
    <div class="narrow">
      <Heading>Sign in</Heading>
      {next && <p>Your session has ended, or you are not signed in yet. Sign in to go on where you were.</p>}
      <Form
        submit="Sign in"
        onSubmit={async (values) => {
          await signInWith(values);
          // Only ever a path of this page: it becomes a hash, never another address.
          replace(next?.startsWith("/") ? next : "/overview");
        }}
      >
        <SignInFields />
      </Form>
      <p class="aside">
        A new deployment? <Link to="/set-up">Set up the first owner</Link>.
      </p>
    </div>
  );
  return { title: "Sign in", node };
}
