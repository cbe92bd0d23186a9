// One key: everything about it, and what can be done with it.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import type { ApiKey, KeyAction, Realm } from "../../types/admin-api.js";
import { post } from "../api.ts";
import { ready, useQuery } from "../cache.ts";
import {
  ActorName,
  Ago,
  countryName,
  isInherited,
  jsonText,
  keyText,
  limits,
  plural,
  Relative,
  Time,
  Typed,
} from "../format.tsx";
import { keyApi, keyPage, keyUsageApi } from "../paths.ts";
import { keyQuery, outcomesQuery, type Period } from "../queries.ts";
import type { Address, Screen } from "../router.ts";
import { may, mayWrite, realms } from "../session.ts";
import { chosenIn, useChoices } from "../ui/choices.tsx";
import { Deadline } from "../ui/deadline.tsx";
import { ask } from "../ui/dialog.tsx";
import { type Options, TextField } from "../ui/form.tsx";
import { Alerts, Button, Crumbs, Fact, Facts, Link, ProblemText, Scopes, StatusBadge, TitleBar } from "../ui/parts.tsx";
import { held } from "../ui/scopes.tsx";
import { PERIOD_OPTIONS, Refusals, Usage } from "../ui/usage.tsx";
import { Access, Test, Timeline } from "./key-tabs.tsx";

const TABS: Options = [
  ["usage", "Usage"],
  ["access", "Access"],
  ["timeline", "Timeline"],
  ["test", "Test"],
];

/** What an edit leaves behind for the screen that comes after it: which key, and when the change holds everywhere. */
export const edited: { current: { id: string; at: string } | null } = { current: null };

export async function keyScreen({ params: { id }, query }: Address): Promise<Screen> {
  const first = chosenIn(query, { tab: TABS, period: PERIOD_OPTIONS });
  // If its usage cannot be read, that part says so.
  const usage = ready(outcomesQuery(keyUsageApi(id), first.period as Period)).catch(() => {});
  const [key, known] = await Promise.all([ready(keyQuery(id)), realms(), usage]);
  const saved = edited.current?.id === id ? edited.current.at : null;
  edited.current = null;
  return { title: key.name, node: <Key id={id} known={known} saved={saved} first={first} /> };
}

interface ScreenProps {
  id: string;
  known: Realm[];
  saved: string | null;
  first: Record<string, string>;
}

function Key({ id, known, saved, first }: ScreenProps) {
  const {
    pages: [key],
    problem,
    retry,
  } = useQuery(keyQuery(id));
  const [done, setDone] = useState<Done | null>(null);
  const { chosen, choices } = useChoices(keyPage(id), first);
  if (!key) return null;
  const realm = known.find((one) => one.id === key.realm);

  const revoke = async (one: ApiKey) => {
    const asked = await askToRevoke(one);
    if (!asked) return;
    const done = refused(asked.answer.refusedEverywhereBy, "the key works nowhere any more");
    const ofOld = { label: "Old key refused everywhere by", passed: "the old key works nowhere any more" };
    setDone(one.id === id ? done : { ...done, ...ofOld });
  };
  const acts: Acts = {
    revoke: () => revoke(key),
    async pause() {
      const asked = await askToPause(key);
      if (asked) setDone(refused(asked.answer.refusedEverywhereBy, "the key works nowhere until it is resumed"));
    },
    async resume() {
      const asked = await askToResume(key);
      if (asked) setDone(inEffect("Resumed", asked.answer.effectiveEverywhereBy, "the key works everywhere again"));
    },
  };
  const shown = done ?? (saved === null ? null : inEffect("Saved", saved, "the change holds everywhere"));

  return (
    <>
      <Crumbs>
        <Link to="/keys">Keys</Link>
      </Crumbs>
      {shown && <Deadline key={shown.at} {...shown} takesFocus={done !== null} />}
      <Header apiKey={key} realm={realm} acts={acts} />
      <Alerts>{problem !== null && <ProblemText problem={problem} retry={retry} />}</Alerts>
      {choices("tab", "Parts", TABS)}
      {chosen.tab === "usage" && (
        <>
          <section class="panel usage">
            <div class="panel-title">
              <h2>Requests</h2>
              {choices("period", "Period", PERIOD_OPTIONS)}
            </div>
            <Usage path={keyUsageApi(id)} period={chosen.period} />
            <p>
              Last use: <LastUse apiKey={key} />. <span class="hint">Reports come up to 5.5 minutes late.</span>
            </p>
            <h3>Latest refusals</h3>
            <Refusals of={{ keyId: id }} />
          </section>
          <h2>Settings</h2>
          <Details apiKey={key} realm={realm} severalRealms={known.length > 1} />
        </>
      )}
      {chosen.tab === "access" && <Access apiKey={key} />}
      {chosen.tab === "timeline" && <Timeline apiKey={key} end={may("revoke", realm) ? revoke : undefined} />}
      {chosen.tab === "test" && <Test apiKey={key} realm={realm} />}
    </>
  );
}

/** When, and from where. What is not reported yet may have happened all the same. */
const LastUse = ({ apiKey: { lastUsedAt, lastUsedFrom } }: { apiKey: ApiKey }) => (
  <>
    <Relative at={lastUsedAt} absent="not reported yet" />
    {lastUsedFrom && (
      <>
        {lastUsedFrom.network && ` from ${lastUsedFrom.network}`}
        {lastUsedFrom.country && ` (${countryName(lastUsedFrom.country)})`}
        {lastUsedFrom.route && (
          <>
            {" "}
            on <code>{lastUsedFrom.route}</code>
          </>
        )}
      </>
    )}
  </>
);

/** What was done to the key, and when that holds everywhere. */
interface Done {
  label: string;
  at: string;
  passed: string;
  testId: string;
}

const refused = (at: string, passed: string): Done => ({
  label: "Refused everywhere by",
  at,
  passed,
  testId: "refused-by",
});

const inEffect = (what: string, at: string, passed: string): Done => ({
  label: `${what}. In effect everywhere by`,
  at,
  passed,
  testId: "effective-by",
});

/** What can be done here, after a question. */
type Acts = Record<"revoke" | "pause" | "resume", () => Promise<void>>;

interface KeyProps {
  apiKey: ApiKey;
  realm: Realm | undefined;
}

function Header({ apiKey: key, realm, acts }: KeyProps & { acts: Acts }) {
  const path = keyPage(key.id);
  const actions: KeyAction[] = ["rotate", "revoke"];
  const forOwners = actions
    .filter((action) => mayWrite() && !may(action, realm))
    .map((action) => `Only owners can ${action} it. `);
  const under = (
    <>
      <p class="under">
        <StatusBadge of={key} />
        <code>{keyText(key)}</code>
      </p>
      {key.revokedAt !== null && (
        <p>
          Revoked <Ago at={key.revokedAt} />
          {key.revokedBy && (
            <>
              {" "}
              by <ActorName actor={key.revokedBy} />
            </>
          )}
          {key.revokeReason !== null && (
            <>
              : <Typed>{key.revokeReason}</Typed>
            </>
          )}
        </p>
      )}
      {forOwners.length > 0 && <p class="hint">{forOwners}</p>}
    </>
  );
  return (
    <TitleBar title={<Typed>{key.name}</Typed>} under={under}>
      {mayWrite() && key.status !== "REVOKED" && (
        <>
          <Link class="button" to={`${path}/edit`}>
            Edit
          </Link>
          {key.status === "ACTIVE" && may("rotate", realm) && (
            <Link class="button" to={`${path}/rotate`}>
              Rotate
            </Link>
          )}
          {key.status === "ACTIVE" && may("revoke", realm) && <Button onClick={acts.pause}>Pause</Button>}
          {key.status === "PAUSED" && may("create", realm) && <Button onClick={acts.resume}>Resume</Button>}
          {may("revoke", realm) && (
            <Button class="danger" onClick={acts.revoke}>
              Revoke key
            </Button>
          )}
        </>
      )}
    </TitleBar>
  );
}

function Details({ apiKey: key, realm, severalRealms }: KeyProps & { severalRealms: boolean }) {
  const implied = realm ? [...held(realm.scopes, key.scopes)].filter((scope) => !key.scopes.includes(scope)) : [];
  return (
    <Facts>
      {(key.scopes.length > 0 || Boolean(realm?.scopes.length)) && (
        <Fact term="Scopes">
          <Scopes scopes={key.scopes} />
          {implied.length > 0 && <p class="hint">Includes {implied.join(", ")}.</p>}
        </Fact>
      )}
      <Fact term="Rate limit">
        {limits(key.effectiveRateLimit)}
        {isInherited(key.rateLimit) && <span class="faint"> inherited</span>}
      </Fact>
      <Fact term="Kind">{key.kind === "publishable" ? "Publishable, for web pages" : "Secret, for servers"}</Fact>
      <Fact term="Mode">{key.testMode ? "Test" : "Live"}</Fact>
      {severalRealms && <Fact term="Realm">{key.realm}</Fact>}
      {realm && <Fact term="Revoking it">takes effect {whenItCounts(key, realm)}</Fact>}
      <Fact term="Allowed addresses">{listOf(key.allowedIps, "Every address")}</Fact>
      {key.kind === "publishable" && (
        <Fact term="Allowed origins">{listOf(key.allowedOrigins, "None: the key works nowhere")}</Fact>
      )}
      <Fact term="Expires">
        <Time at={key.expiresAt} />
        {key.expiresAt && (
          <>
            {" "}
            (<Relative at={key.expiresAt} />)
          </>
        )}
      </Fact>
      {key.pausedAt !== null && (
        <Fact term="Paused">
          <Time at={key.pausedAt} />
        </Fact>
      )}
      <Fact term="Created">
        <Time at={key.createdAt} />
        {key.importedAt === null && (
          <>
            {" "}
            by <ActorName actor={key.createdBy} />
          </>
        )}
      </Fact>
      {key.importedAt !== null && (
        <Fact term="Imported">
          <Time at={key.importedAt} /> by <ActorName actor={key.createdBy} />
        </Fact>
      )}
      <Fact term="Changed">
        <Time at={key.updatedAt} /> (version {key.version})
      </Fact>
      {key.rotatedFrom !== null && <Fact term="Replaces">{keyLink(key.rotatedFrom)}</Fact>}
      {key.rotatedTo !== null && <Fact term="Replaced by">{keyLink(key.rotatedTo)}</Fact>}
      {key.tags.length > 0 && (
        <Fact term="Tags">
          <div class="chips">
            {key.tags.map((tag) => (
              <bdi key={tag} class="chip">
                {tag}
              </bdi>
            ))}
          </div>
        </Fact>
      )}
      {Object.keys(key.metadata).length > 0 && (
        <Fact term="Metadata">
          <pre>{jsonText(key.metadata, 2)}</pre>
        </Fact>
      )}
      <Fact term="Id">
        <code>{key.id}</code>
      </Fact>
    </Facts>
  );
}

const listOf = (values: string[], none: string): ComponentChildren =>
  values.length > 0
    ? values.map((value) => (
        <div key={value}>
          <code>{value}</code>
        </div>
      ))
    : none;

const whenItCounts = (key: ApiKey, { freshnessSeconds: within }: Realm) =>
  key.strict || within === 0 ? "with the very next request" : `everywhere within ${plural(within, "second")}`;

const keyLink = (id: string) => <Link to={keyPage(id)}>{id}</Link>;

const askToPause = (key: ApiKey) =>
  ask({
    title: (
      <>
        Pause <Typed>{key.name}</Typed>?
      </>
    ),
    submit: "Pause key",
    onSubmit: () => post(`${keyApi(key.id)}/pause`, {}),
    body: (
      <p>
        Requests with <code>{keyText(key)}</code> will be refused until you resume it.
      </p>
    ),
  });

const askToResume = (key: ApiKey) =>
  ask({
    title: (
      <>
        Resume <Typed>{key.name}</Typed>?
      </>
    ),
    submit: "Resume key",
    onSubmit: () => post(`${keyApi(key.id)}/resume`, {}),
    body: (
      <p>
        Requests with <code>{keyText(key)}</code> will pass again.
      </p>
    ),
  });

const askToRevoke = (key: ApiKey) =>
  ask({
    title: (
      <>
        Revoke <Typed>{key.name}</Typed>?
      </>
    ),
    submit: "Revoke key",
    danger: true,
    onSubmit: (values) => post(`${keyApi(key.id)}/revoke`, values("reason") ? { reason: values("reason") } : {}),
    body: (
      <>
        <p>
          Requests with <code>{keyText(key)}</code> will be refused everywhere, for good. This cannot be undone.
        </p>
        <TextField name="reason" label="Reason (optional)" hint="Kept in the audit log." />
      </>
    ),
  });
