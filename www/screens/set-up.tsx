// The first owner, made with the deployment's one-time token.

import { useState } from "preact/hooks";

import { Problem, post } from "../api.ts";
import { forgetToken, tokenFor } from "../link-token.ts";
import { replace, type Screen } from "../router.ts";
import { signIn } from "../session.ts";
import { EmailField, FOCUS, Form, NewPasswordField, TextField } from "../ui/form.tsx";
import { Heading, Link } from "../ui/parts.tsx";

export const setUpScreen = (): Screen => ({ title: "Set up", node: <SetUp token={tokenFor("/set-up")} /> });

function SetUp({ token }: { token: string }) {
  const [isDone, setDone] = useState(false);
  return (
    <div class="narrow">
      <Heading>Set up Keyward</Heading>
      <p>This makes the first owner, who can then create keys and invite others.</p>
      {isDone ? (
        <AlreadyDone />
      ) : (
        <Form
          submit="Create the owner"
          onSubmit={async (values) => {
            const person = { email: values("email"), password: values("password") };
            try {
              await post("/setup", { token: values("token"), ...person }, { anonymous: true });
            } catch (problem) {
              if (!(problem instanceof Problem)) throw problem;
              if (problem.status === 401) throw wrongToken(problem);
              if (problem.status !== 409) throw problem;
              forgetToken();
              return setDone(true);
            }
            forgetToken();
            await signIn(person.email, person.password);
            return replace("/overview");
          }}
        >
          <TextField
            name="token"
            label="Set-up token"
            hint="The secret KEYWARD_SETUP_TOKEN of this deployment. It works once."
            defaultValue={token}
            required
            {...(!token && FOCUS)}
          />
          <EmailField hint="You sign in with it." autoComplete="username" required {...(token && FOCUS)} />
          <NewPasswordField />
        </Form>
      )}
      <p class="aside">
        Already set up? <Link to="/sign-in">Sign in</Link>.
      </p>
    </div>
  );
}

const wrongToken = (problem: Problem) => problem.at("token", "This is not the set-up token of this deployment.");

const AlreadyDone = () => (
  <div class="alert" role="alert">
    <p>This deployment is set up already, and the token works only once.</p>
    <p>
      <Link to="/sign-in">Sign in</Link> instead, or ask an owner to add you.
    </p>
  </div>
);
