// Where somebody is signed in, and ending that: one's own sessions in the settings, for owners those of another member.

import type { ComponentChildren } from "preact";

import type { Session } from "../../types/admin-api.js";
import { remove } from "../api.ts";
import { ready, useQuery } from "../cache.ts";
import { Ago, program, Time, Typed } from "../format.tsx";
import { memberApi } from "../paths.ts";
import { memberQuery, sessionsQuery } from "../queries.ts";
import { type Address, replace, type Screen } from "../router.ts";
import { me } from "../session.ts";
import { useActing } from "../ui/acting.tsx";
import { Button, Crumbs, Heading, Link } from "../ui/parts.tsx";

export async function sessionsScreen({ params: { id } }: Address): Promise<Screen> {
  if (id === me().id) {
    replace("/settings");
    return { title: "Settings", node: null };
  }
  const [{ email }] = await Promise.all([ready(memberQuery(id)), ready(sessionsQuery(id))]);
  const title = `Sessions of ${email}`;
  const node = (
    <>
      <Crumbs>
        <Link to="/members">People</Link>
      </Crumbs>
      <Sessions
        memberId={id}
        heading={
          <Heading>
            Sessions of <Typed>{email}</Typed>
          </Heading>
        }
      />
    </>
  );
  return { title, node };
}

interface SessionsProps {
  /** Of another member. */
  memberId?: string;
  heading: ComponentChildren;
}

export function Sessions({ memberId, heading }: SessionsProps) {
  const [sessions = []] = useQuery(sessionsQuery(memberId)).pages;
  const { act, alerts } = useActing();
  const isOwn = memberId === undefined;
  return (
    <>
      <div class="title">
        <div>{heading}</div>
        {sessions.some(({ current }) => !current) && (
          <div class="actions">
            <Button
              class="danger small"
              onClick={() =>
                isOwn
                  ? act(() => remove("/sessions"), "All other sessions are ended.")
                  : act(() => remove(`${memberApi(memberId)}/sessions` as const), "All sessions are ended.")
              }
            >
              {isOwn ? "End all others" : "End all"}
            </Button>
          </div>
        )}
      </div>
      {alerts}
      {sessions.length === 0 && <p class="empty">Not signed in anywhere.</p>}
      {sessions.length > 0 && (
        <ul class="list">
          {sessions.map((session) => (
            <Row
              key={session.id}
              session={session}
              end={() =>
                act(() => remove(`/sessions/${encodeURIComponent(session.id)}` as const), "The session is ended.")
              }
            />
          ))}
        </ul>
      )}
    </>
  );
}

function Row({ session, end }: { session: Session; end: () => Promise<void> }) {
  const { current, network, userAgent, createdAt, lastSeenAt } = session;
  const what = program(userAgent);
  return (
    <li data-testid="session-row">
      <div>
        <strong title={userAgent ?? undefined}>
          <Typed>{what}</Typed>
        </strong>
        {current && <span class="badge active">This one</span>}
        <div class="faint">
          {network && (
            <>
              From <code>{network}</code> ·{" "}
            </>
          )}
          last seen <Ago at={lastSeenAt} /> · signed in <Time at={createdAt} />
        </div>
      </div>
      {!current && (
        <div class="actions">
          <Button class="danger small" aria-label={`End the session of ${what}`} onClick={end}>
            End
          </Button>
        </div>
      )}
    </li>
  );
}
