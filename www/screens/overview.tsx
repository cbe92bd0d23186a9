// What there is, and what may want to be looked at.

import type { ComponentChildren } from "preact";

import type { ApiKey, AuditEntry, Realm } from "../../types/admin-api.js";
import { type Query, ready, useQuery } from "../cache.ts";
import { ActorName, Ago, Relative } from "../format.tsx";
import { auditQuery, keysQuery, type Page, quotasQuery } from "../queries.ts";
import type { Screen } from "../router.ts";
import { may, realms } from "../session.ts";
import { Link, StatusBadge, TitleBar } from "../ui/parts.tsx";
import { Quotas } from "../ui/quota-note.tsx";
import { KeyName, NoKeys } from "./keys.tsx";

const MOST = 5;
const UNUSED_DAYS = "30";

const newest = keysQuery({}, MOST);
const unused = keysQuery({ status: "ACTIVE", unusedDays: UNUSED_DAYS }, MOST);
const latest = auditQuery(MOST);

export async function overviewScreen(): Promise<Screen> {
  const [known] = await Promise.all([realms(), ready(newest), ready(unused), ready(latest), ready(quotasQuery)]);
  return { title: "Overview", node: <Overview known={known} /> };
}

/** The first page of a list. */
function useFirst<Entry>(query: Query<Page<Entry>>) {
  const [page] = useQuery(query).pages;
  return { entries: page?.entries ?? [], hasMore: Boolean(page?.nextCursor) };
}

function Overview({ known }: { known: Realm[] }) {
  const keys = useFirst(newest);
  const idle = useFirst(unused);
  const changes = useFirst(latest);
  const mayCreate = known.some((realm) => may("create", realm));
  return (
    <>
      <TitleBar title="Overview" under={null}>
        {mayCreate && keys.entries.length > 0 && (
          <Link class="button primary" to="/keys/new">
            Create key
          </Link>
        )}
      </TitleBar>
      <Quotas />
      {keys.entries.length === 0 ? (
        <div class="empty">
          <NoKeys mayCreate={mayCreate} />
        </div>
      ) : (
        <div class="columns">
          <Panel title="Newest keys" more={keys.hasMore && <Link to="/keys">All of them</Link>}>
            {keys.entries.map((key) => (
              <KeyRow
                key={key.id}
                apiKey={key}
                said={
                  <>
                    made <Ago at={key.createdAt} />
                  </>
                }
              />
            ))}
          </Panel>
          <Panel
            title={`Not used for ${UNUSED_DAYS} days`}
            more={idle.hasMore && <Link to={`/keys?status=ACTIVE&unusedDays=${UNUSED_DAYS}`}>All of them</Link>}
            none="Every active key was used in that time, or is newer."
          >
            {idle.entries.map((key) => (
              <KeyRow
                key={key.id}
                apiKey={key}
                said={
                  <>
                    used <Relative at={key.lastUsedAt} absent="never" />
                  </>
                }
              />
            ))}
          </Panel>
        </div>
      )}
      {changes.entries.length > 0 && (
        <Panel title="Latest changes" more={changes.hasMore && <Link to="/audit">All changes</Link>}>
          {changes.entries.map((entry) => (
            <ChangeRow key={entry.seq} entry={entry} />
          ))}
        </Panel>
      )}
    </>
  );
}

interface PanelProps {
  title: string;
  more: ComponentChildren;
  /** What is said where there is nothing. */
  none?: string;
  children: ComponentChildren[];
}

const Panel = ({ title, more, none, children }: PanelProps) => (
  <section class="panel">
    <div class="panel-title">
      <h2>{title}</h2>
      {more}
    </div>
    {children.length > 0 ? <ul class="list">{children}</ul> : <p class="nothing faint">{none}</p>}
  </section>
);

const KeyRow = ({ apiKey, said }: { apiKey: ApiKey; said: ComponentChildren }) => (
  <li>
    <div>
      <KeyName apiKey={apiKey} />
    </div>
    <div class="aside">
      {apiKey.status !== "ACTIVE" && <StatusBadge of={apiKey} />} {said}
    </div>
  </li>
);

const ChangeRow = ({ entry: { actor, action, target, time } }: { entry: AuditEntry }) => (
  <li>
    <div>
      <code>{action}</code> <code class="faint">{target}</code>
    </div>
    <div class="aside">
      <ActorName actor={actor} />, <Ago at={time} />
    </div>
  </li>
);
