// One's own account: who one is, the password, and where one is signed in.

import { patch } from "../api.ts";
import { ready } from "../cache.ts";
import { Typed } from "../format.tsx";
import { memberApi } from "../paths.ts";
import { passkeysQuery, sessionsQuery } from "../queries.ts";
import type { Screen } from "../router.ts";
import { hasPasswords, issuer, me, tenantName } from "../session.ts";
import { signOut } from "../sign-out.ts";
import { useActing } from "../ui/acting.tsx";
import { ask } from "../ui/dialog.tsx";
import { NewPasswordField, PasswordField, Whose } from "../ui/form.tsx";
import { Button, Fact, Facts, Heading } from "../ui/parts.tsx";
import { Passkeys } from "./passkeys.tsx";
import { Sessions } from "./sessions.tsx";

const ROLES = {
  viewer: "Viewer: you see everything and change nothing",
  admin: "Admin: you manage keys",
  owner: "Owner: you manage keys and people",
};

export async function settingsScreen(): Promise<Screen> {
  await Promise.all([ready(sessionsQuery()), hasPasswords && ready(passkeysQuery)]);
  return { title: "Settings", node: <Settings /> };
}

function Settings() {
  const { email, role, operator } = me();
  const { act, alerts } = useActing();
  return (
    <>
      <div class="title">
        <Heading>Settings</Heading>
        <div class="actions">
          {hasPasswords && (
            <Button onClick={() => act(askPassword, "The password is changed. All other sessions are ended.")}>
              Change password
            </Button>
          )}
          <Button onClick={() => signOut()}>Sign out</Button>
        </div>
      </div>
      {alerts}
      <Facts>
        <Fact term="E-mail address">
          <Typed>{email}</Typed>
        </Fact>
        <Fact term="Role">{ROLES[role] ?? role}</Fact>
        {issuer && (
          <Fact term="Sign-in">
            {issuer.name}
            {hasPasswords && <span class="faint"> · or a password</span>}
          </Fact>
        )}
        <Fact term="Tenant">
          <Typed>{tenantName}</Typed>
          {operator && <span class="faint"> · you operate this deployment</span>}
        </Fact>
      </Facts>
      {hasPasswords && <Passkeys />}
      <Sessions
        heading={
          <>
            <h2>Your sessions</h2>
            <p class="hint">
              Where you are signed in. If you do not recognise one, end it{hasPasswords && " and change your password"}.
            </p>
          </>
        }
      />
    </>
  );
}

const askPassword = () =>
  ask({
    title: "Change your password",
    submit: "Change password",
    onSubmit: (values) =>
      patch(memberApi(me().id), { currentPassword: values("currentPassword"), password: values("password") }),
    body: (
      <>
        <Whose email={me().email} />
        <PasswordField name="currentPassword" label="Present password" />
        <NewPasswordField label="New password" />
      </>
    ),
  });
