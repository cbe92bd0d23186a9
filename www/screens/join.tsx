// Where a one-time link leads: somebody who was invited chooses a password, or sets a new one.

import { post } from "../api.ts";
import { forgetToken, tokenFor } from "../link-token.ts";
import { HOME, replace, type Screen } from "../router.ts";
import { hasPasswords, issuerName, shownByIssuer, signIn, signInByIssuer } from "../session.ts";
import { chosen, FOCUS, Form, NewPasswordField } from "../ui/form.tsx";
import { Heading, Link } from "../ui/parts.tsx";
import { AtIssuer } from "../ui/sign-in-form.tsx";

export const joinScreen = (): Screen => ({
  title: "Join",
  node: (
    <Accept
      title="Join Keyward"
      byIssuer
      purpose={hasPasswords ? "Choose a password to sign in with." : "You were invited to manage API keys."}
      token={tokenFor("/join")}
    />
  ),
});

export const newPasswordScreen = (): Screen => ({
  title: "New password",
  node: (
    <Accept
      title="Set a new password"
      purpose="It takes the place of the one you had, and signs you out everywhere else."
      token={tokenFor("/new-password")}
    />
  ),
});

interface AcceptProps {
  title: string;
  purpose: string;
  token: string;
  /** Whether whom the issuer knows needs no password. */
  byIssuer?: boolean;
}

const Accept = ({ title, purpose, token, byIssuer }: AcceptProps) => (
  <div class="narrow">
    <Heading>{title}</Heading>
    {token ? (
      <>
        <p>{purpose}</p>
        <Form
          submit={hasPasswords ? "Set the password" : `Join with ${issuerName}`}
          onSubmit={(values) => accept(token, chosen(values))}
        >
          <NewPasswordField {...FOCUS} />
          {!hasPasswords && <AtIssuer />}
        </Form>
        {hasPasswords && issuerName && byIssuer && (
          <Form submit={`Join with ${issuerName}`} onSubmit={() => accept(token)} />
        )}
      </>
    ) : (
      <p>The link that leads here has a token in it. Open it once more, as you got it.</p>
    )}
    <p class="aside">
      You have {hasPasswords ? "a password" : "joined"} already? <Link to="/sign-in">Sign in</Link>.
    </p>
  </div>
);

async function accept(token: string, password?: string) {
  const shown = password === undefined ? await shownByIssuer() : { password };
  const { member } = await post("/invitations/accept", { token, ...shown }, { anonymous: true });
  forgetToken();
  await (password === undefined ? signInByIssuer(HOME) : signIn({ email: member.email, password }));
  replace(HOME);
}
