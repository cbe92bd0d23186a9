// Creates a key, then shows it once.

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";

import type { CreatedKey, Realm } from "../../types/admin-api.js";
import { idempotencyKeys, post } from "../api.ts";
import { Typed } from "../format.tsx";
import { keyPage } from "../paths.ts";
import { go, type Screen } from "../router.ts";
import { may, realms } from "../session.ts";
import { FirstUse } from "../ui/first-use.tsx";
import { Form } from "../ui/form.tsx";
import { draftOf, fitted, KeySettings, RealmField, settingsOf } from "../ui/key-form.tsx";
import { Crumbs, Heading, Link } from "../ui/parts.tsx";
import { QuotaNote } from "../ui/quota-note.tsx";
import { useShownOnce } from "../ui/shown-once.tsx";

export async function createScreen(): Promise<Screen> {
  return { title: "Create a key", node: <Create all={await realms()} /> };
}

function Create({ all }: { all: Realm[] }) {
  const known = all.filter((realm) => may("create", realm));
  const others = all.filter((realm) => !known.includes(realm)).map(({ id }) => id);
  const note = others.length > 0 && <p class="hint">Only owners can create keys for {others.join(" and ")}.</p>;
  return (
    <>
      <Crumbs>
        <Link to="/keys">Keys</Link>
      </Crumbs>
      <Heading>Create a key</Heading>
      {known[0] ? <CreateForm known={known} first={known[0]} note={note} /> : note}
    </>
  );
}

interface FormProps {
  known: Realm[];
  first: Realm;
  note: ComponentChildren;
}

function CreateForm({ known, first, note }: FormProps) {
  const [realm, setRealm] = useState(first);
  // As it was typed: a realm that lacks something of it may be left again.
  const [draft, setDraft] = useState(() => draftOf());
  const idempotencyKey = useMemo(idempotencyKeys, []);
  const { banner, make } = useShownOnce("key");
  if (banner) return banner;
  const shown = fitted(draft, realm);

  const onSubmit = () =>
    make(async () => {
      const wanted = { realm: realm.id, ...settingsOf(shown), kind: shown.kind };
      const created: CreatedKey = await post("/api-keys", wanted, { headers: idempotencyKey(wanted) });
      const { name, id } = created.apiKey;
      return {
        secret: created.plaintextKey,
        before: (
          <>
            Key{" "}
            <strong>
              <Typed>{name}</Typed>
            </strong>{" "}
            created. It works now.
          </>
        ),
        uses: <FirstUse secret={created.plaintextKey} apiKey={created.apiKey} realm={realm} />,
        onSaved: () => go(keyPage(id)),
      };
    });

  return (
    <Form submit="Create key" onSubmit={onSubmit} cancelTo="/keys">
      <QuotaNote />
      {note}
      <RealmField realms={known} value={realm.id} onChange={setRealm} />
      <KeySettings draft={shown} onChange={(changed) => setDraft({ ...draft, ...changed })} realm={realm} />
    </Form>
  );
}
