// The first owner, and one for a deployment whose owners cannot sign in: each made with a secret of the deployment.

import { useState } from "preact/hooks";

import { Problem, post } from "../api.ts";
import { forgetToken, tokenFor } from "../link-token.ts";
import { HOME, replace, type Screen } from "../router.ts";
import { signIn } from "../session.ts";
import { chosen, EmailField, FOCUS, Form, NewPasswordField, TextField } from "../ui/form.tsx";
import { Heading, Link } from "../ui/parts.tsx";
import { NotKept } from "../ui/sign-in-form.tsx";

export const setUpScreen = (): Screen => ({
  title: "Set up",
  node: (
    <div class="narrow">
      <Heading>Set up Keyward</Heading>
      <p>This makes the first owner, who can then create keys and invite others.</p>
      <WithSecret path="/setup" what="set-up" submit="Create the owner" given={tokenFor("/set-up")} />
      <p class="aside">
        Already set up? <Link to="/sign-in">Sign in</Link>.
      </p>
    </div>
  ),
});

export const recoverScreen = (): Screen => ({
  title: "Recover",
  node: (
    <div class="narrow">
      <Heading>Recover the deployment</Heading>
      <p>
        For when no owner of the operator’s tenant can sign in. Whoever may set the deployment’s secrets sets{" "}
        <code>KEYWARD_RECOVERY_TOKEN</code>, types it here, and deletes it afterwards.
      </p>
      <p>
        If a member has this e-mail address, they get this password, become an owner, and are signed out everywhere.
        Otherwise a new owner is created.
      </p>
      <WithSecret path="/recover" what="recovery" submit="Set the password" given="" />
      <p class="aside">
        <Link to="/sign-in">Back to sign-in</Link>
      </p>
    </div>
  ),
});

interface WithSecretProps {
  path: "/setup" | "/recover";
  what: string;
  submit: string;
  /** The token of the link that was opened. */
  given: string;
}

function WithSecret({ path, what, submit, given }: WithSecretProps) {
  const [isDone, setDone] = useState(false);
  const also = path === "/setup" && !given ? " The link that npm start or npm run secrets prints has it." : "";
  if (isDone) return <AlreadyDone />;
  return (
    <Form
      submit={submit}
      onSubmit={async (values) => {
        const person = { email: values("email"), password: chosen(values) };
        try {
          await post(path, { token: values("token"), ...person }, { anonymous: true });
        } catch (problem) {
          if (!(problem instanceof Problem)) throw problem;
          if (problem.status === 401) throw problem.at("token", `This is not the ${what} token of this deployment.`);
          if (problem.code !== "ALREADY_SET_UP") throw problem;
          forgetToken();
          return setDone(true);
        }
        forgetToken();
        await signIn(person);
        return replace(HOME);
      }}
    >
      {!isSecureContext && <NotKept />}
      <TextField
        name="token"
        label={`${what.charAt(0).toUpperCase()}${what.slice(1)} token`}
        hint={`The secret KEYWARD_${what.replace("-", "").toUpperCase()}_TOKEN of this deployment. It works once.${also}`}
        defaultValue={given}
        required
        {...(!given && FOCUS)}
      />
      <EmailField hint="You sign in with it." autoComplete="username" required {...(given && FOCUS)} />
      <NewPasswordField />
    </Form>
  );
}

const AlreadyDone = () => (
  <div class="alert" role="alert">
    <p>This deployment is set up already, and the token works only once.</p>
    <p>
      <Link to="/sign-in">Sign in</Link> instead, or ask an owner to add you.
    </p>
  </div>
);
