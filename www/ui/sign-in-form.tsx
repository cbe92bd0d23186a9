// What sign-in asks for, on its own screen and over one on which the session has ended.

import { Problem, post } from "../api.ts";
import { areUsable, use } from "../passkeys.ts";
import { begin, hasPasswords, issuer, issuerName, shownByIssuer, signIn } from "../session.ts";
import { EmailField, FOCUS, PasswordField, type Values } from "./form.tsx";

/** `email`: who was signed in. */
export const SignInFields = ({ email }: { email?: string }) =>
  hasPasswords ? (
    <>
      {!isSecureContext && <NotKept />}
      <EmailField autoComplete="username webauthn" defaultValue={email} required {...(!email && FOCUS)} />
      <PasswordField {...(email && FOCUS)} />
    </>
  ) : (
    <AtIssuer />
  );

/** What the button says that signs in. */
export const SIGN_IN = hasPasswords ? "Sign in" : `Sign in with ${issuerName}`;

/** How to get a new token of the issuer, each of which works once. */
export const AtIssuer = () =>
  issuer?.header === "cf-access-jwt-assertion" && !issuer.code ? (
    <p class="hint">
      If that does not work, <a href="/cdn-cgi/access/logout">sign out of {issuer.name}</a> and open this page again.
    </p>
  ) : (
    !issuerName && <p>This deployment has no passwords: the admin API takes tokens of {issuer?.name}.</p>
  );

/** A warning about plain http, except on this machine. */
export const NotKept = () => (
  <p class="warning">
    This page was opened over plain http. Browsers keep the sign-in over https only, and anyone on the way can read your
    password: <a href={`https://${location.host}${location.pathname}`}>open it over https</a>.
  </p>
);

/** Its other button. */
export const ByPasskey = () =>
  hasPasswords &&
  areUsable && (
    <button type="submit" name="passkey" value="1">
      Sign in with a passkey
    </button>
  );

/** The issuer's button, where there are passwords too. */
export const ByIssuer = ({ verb = "Sign in" }: { verb?: string }) =>
  hasPasswords &&
  issuerName && (
    <button type="submit" name="issuer" value="1">
      {verb} with {issuerName}
    </button>
  );

const byIssuer = async () => begin(await shownByIssuer());

/** Signs in with what stands in the fields, a passkey, or by the issuer. */
export async function signInWith(values: Values) {
  if (values("issuer") || !hasPasswords) return byIssuer();
  if (values("passkey")) {
    const { publicKey } = await post("/session/passkey/options", {}, { anonymous: true, isQuestion: true });
    return signIn({ passkey: await use(publicKey) });
  }
  try {
    await signIn({ email: values("email"), password: values("password") });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 429) throw problem.reworded("Too many failed attempts.");
    throw problem.code === "INVALID_CREDENTIALS"
      ? problem.at("password", "The e-mail address or the password is wrong.")
      : problem;
  }
}
