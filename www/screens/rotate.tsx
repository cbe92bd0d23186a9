// Rotates a key: a new one with the same settings, and a choice of what happens to the old one.

import { Fragment } from "preact";
import { useMemo, useState } from "preact/hooks";

import type { ApiKey, CreatedKey, PreviousKey, Realm } from "../../types/admin-api.js";
import { idempotencyKeys, Problem, post, untilServerTime } from "../api.ts";
import { fresh } from "../cache.ts";
import { keyText, Relative, Time, Typed } from "../format.tsx";
import { keyApi, keyPage } from "../paths.ts";
import { keyQuery } from "../queries.ts";
import { type Address, go, type Screen } from "../router.ts";
import { realms } from "../session.ts";
import { Deadline } from "../ui/deadline.tsx";
import { FirstUse } from "../ui/first-use.tsx";
import { Choice, Form, Group, LocalTime, Select } from "../ui/form.tsx";
import { Crumbs, Heading, Link } from "../ui/parts.tsx";
import { useShownOnce } from "../ui/shown-once.tsx";

const HOUR_S = 3600;
const AT_A_TIME = "date";
const GRACES = [
  [String(HOUR_S), "For an hour"],
  [String(24 * HOUR_S), "For 24 hours"],
  [String(7 * 24 * HOUR_S), "For 7 days"],
  [AT_A_TIME, "Until a time of my choice"],
] as const;

export async function rotateScreen({ params: { id } }: Address): Promise<Screen> {
  const [key, known] = await Promise.all([fresh(keyQuery(id)), realms()]);
  const realm = known.find(({ id }) => id === key.realm);
  const node = (
    <>
      <Crumbs>
        <Link to="/keys">Keys</Link> /{" "}
        <Link to={keyPage(id)}>
          <Typed>{key.name}</Typed>
        </Link>
      </Crumbs>
      <Heading>
        Rotate <Typed>{key.name}</Typed>
      </Heading>
      <Rotate apiKey={key} realm={realm} />
    </>
  );
  return { title: `Rotate ${key.name}`, node };
}

type Fate = "keep" | "grace" | "revoke";

const FATES: [Fate, string, string][] = [
  ["keep", "keeps working", "until you revoke it. Choose this to move over at your own pace."],
  ["grace", "works for some more time", "and is then refused, without anybody having to remember it."],
  [
    "revoke",
    "is revoked at once",
    "Choose this if the key may be in the wrong hands. Whatever uses it stops until it has the new key.",
  ],
];

function Rotate({ apiKey: key, realm }: { apiKey: ApiKey; realm: Realm | undefined }) {
  const [fate, setFate] = useState<Fate>(realm?.rotation === "revoke-old" ? "revoke" : "keep");
  const [grace, setGrace] = useState({ length: String(24 * HOUR_S), when: "", seconds: 24 * HOUR_S });
  const idempotencyKey = useMemo(idempotencyKeys, []);
  const { banner, make } = useShownOnce("key");
  if (banner) return banner;

  function body() {
    if (fate !== "grace") return { revokeOld: fate === "revoke" };
    if (grace.seconds > 0) return { graceSeconds: grace.seconds };
    throw new Problem({ status: 422 }).at("graceSeconds", "must be a time in the future");
  }

  const onSubmit = () =>
    make(async () => {
      const sent = body();
      const created: CreatedKey & { previous: PreviousKey } = await post(`${keyApi(key.id)}/rotate`, sent, {
        headers: idempotencyKey(sent),
      });
      return {
        secret: created.plaintextKey,
        before: "New key created. It works now.",
        uses: <FirstUse secret={created.plaintextKey} apiKey={created.apiKey} realm={realm} />,
        after: <OldKey previous={created.previous} />,
        onSaved: () => go(keyPage(created.apiKey.id)),
      };
    });

  return (
    <>
      <p>Makes a new key with the same name, scopes and limits.</p>
      <Form submit="Rotate key" onSubmit={onSubmit} cancelTo={keyPage(key.id)}>
        <Group name="old" legend={`The old key, ${keyText(key)}`}>
          {FATES.map(([value, label, hint]) => (
            <Fragment key={value}>
              <Choice
                type="radio"
                name="old"
                value={value}
                label={label}
                hint={hint}
                checked={fate === value}
                onChange={() => setFate(value)}
              />
              {value === "grace" && (
                <GraceFields hidden={fate !== "grace"} grace={grace} onChange={setGrace} expiresAt={key.expiresAt} />
              )}
            </Fragment>
          ))}
        </Group>
      </Form>
    </>
  );
}

interface Grace {
  length: string;
  /** Local time. */
  when: string;
  /** Counted from the choice, so that a form that is sent twice says the same. */
  seconds: number;
}

interface GraceProps {
  hidden: boolean;
  grace: Grace;
  onChange: (grace: Grace) => void;
  /** The old key's own, which stays if it is earlier. */
  expiresAt: string | null;
}

/** How long the old key works, with the end of it in words. */
function GraceFields({ hidden, grace: { length, when, seconds }, onChange, expiresAt }: GraceProps) {
  const isOwnTime = length === AT_A_TIME;
  const choose = (chosen: string, at: string) =>
    onChange({
      length: chosen,
      when: at,
      seconds: chosen === AT_A_TIME ? secondsUntil(at) : Number(chosen),
    });
  const end = new Date(Date.now() + seconds * 1000).toISOString();
  const isOwn = expiresAt !== null && Date.parse(expiresAt) < Date.parse(end);
  return (
    <Group name="graceSeconds" legend="The old key works" hidden={hidden}>
      <div class="pair">
        <Select
          name="length"
          aria-label="For how long"
          options={GRACES}
          value={length}
          onChange={(chosen) => choose(chosen, when)}
        />
        <LocalTime
          name="when"
          label="Time from which it is refused"
          value={when}
          hidden={!isOwnTime}
          onChange={(at) => choose(length, at)}
        />
      </div>
      <p class="hint" role="status">
        {seconds > 0 && (
          <>
            The old key is refused from <Time at={isOwn ? expiresAt : end} /> on{isOwn && ", when it expires"}.
          </>
        )}
      </p>
    </Group>
  );
}

/** Whole seconds from now until a local time; 0 without one. */
const secondsUntil = (local: string) => (local ? Math.ceil(untilServerTime(new Date(local).toISOString()) / 1000) : 0);

/** What happens to the old key, in words. */
function OldKey({ previous: { id, status, expiresAt, refusedEverywhereBy } }: { previous: PreviousKey }) {
  if (status === "REVOKED") {
    if (!refusedEverywhereBy) return <p>The old key is revoked.</p>;
    return (
      <Deadline
        label="Old key refused everywhere by"
        at={refusedEverywhereBy}
        passed="the old key works nowhere any more"
        testId="refused-by"
      />
    );
  }
  if (expiresAt) {
    return (
      <p class="deadline">
        <strong>
          The old key works until <Time at={expiresAt} />
        </strong>{" "}
        · <Relative at={expiresAt} />
      </p>
    );
  }
  return (
    <p class="deadline">
      The old key keeps working. Revoke <Link to={keyPage(id)}>the old key</Link> once nothing uses it any more.
    </p>
  );
}
