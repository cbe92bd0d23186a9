// The first owner, made with the deployment's one-time token.

import { useState } from "preact/hooks";

import { Problem, post } from "../api.ts";
import { replace, type Screen } from "../router.ts";
import { signIn } from "../session.ts";
import { EmailField, FOCUS, Form, NewPasswordField, TextField } from "../ui/form.tsx";
import { Heading, Link } from "../ui/parts.tsx";

let tokenFromLink = "";

/** Takes the token out of `/admin/#setup=…`, and out of the address bar and the history. Whether there was one. */
export function takeSetUpToken() {
  const match = /^#setup=(.+)$/.exec(location.hash);
  if (!match) return false;
  history.replaceState(null, "", "#/set-up");
  tokenFromLink = decoded(match[1]);
  return true;
}

/** A token that is not percent-encoded, or not as it should be, is taken as it stands: the server says if it is wrong. */
function decoded(text: string) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const setUpScreen = (): Screen => ({ title: "Set up", node: <SetUp token={tokenFromLink} /> });

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
              tokenFromLink = "";
              return setDone(true);
            }
            tokenFromLink = "";
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
