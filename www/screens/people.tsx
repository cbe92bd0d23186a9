// Who may use the admin side, what they may do there, and who is invited. Owners change it.

import type { Invitation, Member } from "../../types/admin-api.js";
import { patch, post, remove } from "../api.ts";
import { ready, useQuery } from "../cache.ts";
import { Ago, Relative, Time, Typed } from "../format.tsx";
import { memberApi } from "../paths.ts";
import { invitationsQuery, peopleQuery } from "../queries.ts";
import type { Screen } from "../router.ts";
import { hasPasswords, issuer, mayManagePeople, mayManageTenants, me } from "../session.ts";
import { useActing } from "../ui/acting.tsx";
import { ask } from "../ui/dialog.tsx";
import { chosen, EmailField, FirstPasswordField, type Options, SelectField } from "../ui/form.tsx";
import { type Make, madeFor } from "../ui/invited.tsx";
import { Button, Heading, Link, TitleBar } from "../ui/parts.tsx";
import { useShownOnce } from "../ui/shown-once.tsx";

const ROLES: Options = [
  ["viewer", "Viewer: sees everything, changes nothing"],
  ["admin", "Admin: manages keys"],
  ["owner", "Owner: manages keys and people"],
];

export async function peopleScreen(): Promise<Screen> {
  await Promise.all([ready(peopleQuery), ready(invitationsQuery)]);
  return { title: "People", node: <People /> };
}

function People() {
  const [people = []] = useQuery(peopleQuery).pages;
  const [invitations = []] = useQuery(invitationsQuery).pages;
  const { act, alerts } = useActing();
  const { banner, make } = useShownOnce("link");
  if (banner)
    return (
      <>
        <Heading>People</Heading>
        {banner}
      </>
    );
  return (
    <>
      <TitleBar title="People" under={null}>
        {mayManagePeople() && (
          <>
            {(!issuer || mayManageTenants()) && (
              <Button onClick={() => act(askNew, "The member is added.")}>Add member</Button>
            )}
            <Button class="primary" onClick={() => act(() => askInvited(make), "The link is made.")}>
              Invite
            </Button>
          </>
        )}
      </TitleBar>
      {alerts}
      <ul class="list">
        {people.map((member) => (
          <Person key={member.id} member={member} act={act} make={make} />
        ))}
      </ul>
      {invitations.length > 0 && (
        <section class="day">
          <h2>Open links</h2>
          <ul class="list">
            {invitations.map((invitation) => (
              <Invited key={invitation.id} invitation={invitation} act={act} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

type Act = ReturnType<typeof useActing>["act"];

function Invited({
  invitation: { id, email, role, memberId, createdBy, expiresAt },
  act,
}: {
  invitation: Invitation;
  act: Act;
}) {
  return (
    <li data-testid="invitation-row">
      <div>
        <Typed>{email}</Typed>
        <div class="faint">
          {memberId ? "New password" : `Joins as ${role}`} · by <Typed>{createdBy.email}</Typed> · ends{" "}
          <Relative at={expiresAt} />
        </div>
      </div>
      {mayManagePeople() && (
        <div class="actions">
          <Button
            class="danger small"
            aria-label={`End the link for ${email}`}
            onClick={() => act(() => remove(`/invitations/${encodeURIComponent(id)}`), "The link no longer works.")}
          >
            End
          </Button>
        </div>
      )}
    </li>
  );
}

interface PersonProps {
  member: Member;
  act: Act;
  make: Make;
}

function Person({ member, act, make }: PersonProps) {
  const { email, role } = member;
  const isSelf = member.id === me().id;
  return (
    <li data-testid="member-row">
      <div>
        <strong>
          <Typed>{email}</Typed>
        </strong>
        {isSelf && " (you)"}
        <div class="faint">
          {role}, since <Time at={member.createdAt} /> ·{" "}
          {member.lastSeenAt ? (
            <>
              last seen <Ago at={member.lastSeenAt} />
            </>
          ) : (
            "never seen"
          )}
        </div>
      </div>
      {!isSelf && mayManagePeople() && (
        <div class="actions">
          <Link class="button small" to={`${memberApi(member.id)}/sessions`} aria-label={`Sessions of ${email}`}>
            Sessions
          </Link>
          <Button
            class="small"
            aria-label={`Change role of ${email}`}
            onClick={() => act(() => askRole(member), `The role of ${email} is changed.`)}
          >
            Change role
          </Button>
          {hasPasswords && (
            <Button
              class="small"
              aria-label={`New password for ${email}`}
              onClick={() => act(() => askReset(member, make), "The link is made.")}
            >
              New password
            </Button>
          )}
          <Button
            class="danger small"
            aria-label={`Remove ${email}`}
            onClick={() => act(() => askRemove(member), `${email} is removed.`)}
          >
            Remove
          </Button>
        </div>
      )}
    </li>
  );
}

const askNew = () =>
  ask({
    title: "Add a member",
    submit: "Add member",
    onSubmit: (values) => post("/members", { email: values("email"), password: chosen(values), role: values("role") }),
    body: (
      <>
        <EmailField />
        <FirstPasswordField />
        <SelectField name="role" label="Role" options={ROLES} value="viewer" />
      </>
    ),
  });

const askInvited = (make: Make) =>
  ask({
    title: "Invite somebody",
    submit: "Make the link",
    onSubmit: (values) =>
      make(async () => madeFor(await post("/invitations", { email: values("email"), role: values("role") }))),
    body: (
      <>
        <p>
          You get a link to send. Whoever opens it{" "}
          {hasPasswords && (!issuer || mayManageTenants())
            ? "chooses a password"
            : `signs in with ${issuer?.name}, with this address`}
          .
        </p>
        <EmailField />
        <SelectField name="role" label="Role" options={ROLES} value="viewer" />
      </>
    ),
  });

const askReset = ({ id, email }: Member, make: Make) =>
  ask({
    title: (
      <>
        New password for <Typed>{email}</Typed>?
      </>
    ),
    submit: "Make the link",
    onSubmit: () => make(async () => madeFor(await post(`${memberApi(id)}/reset`, {}))),
    body: <p>You get a link to send. Until it is used, the present password works; then their sessions end.</p>,
  });

const askRole = ({ id, email, role }: Member) =>
  ask({
    title: (
      <>
        Role of <Typed>{email}</Typed>
      </>
    ),
    submit: "Change role",
    onSubmit: (values) => patch(memberApi(id), { role: values("role") }),
    body: <SelectField name="role" label="Role" options={ROLES} value={role} />,
  });

const askRemove = ({ id, email }: Member) =>
  ask({
    title: (
      <>
        Remove <Typed>{email}</Typed>?
      </>
    ),
    submit: "Remove",
    danger: true,
    onSubmit: () => remove(memberApi(id)),
    body: <p>Their sessions end at once. Keys that they made keep working.</p>,
  });
