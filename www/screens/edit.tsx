// Edits a key. If-Match keeps one editor from overwriting what another one has just saved.

import { useRef, useState } from "preact/hooks";

import type { ApiKey, Realm } from "../../types/admin-api.js";
import { Problem, patch } from "../api.ts";
import { fresh } from "../cache.ts";
import { Typed } from "../format.tsx";
import { keyApi, keyPage } from "../paths.ts";
import { keyQuery } from "../queries.ts";
import { type Address, go, type Screen } from "../router.ts";
import { may, realms } from "../session.ts";
import { Form } from "../ui/form.tsx";
import { changes, draftOf, KeySettings, rebased } from "../ui/key-form.tsx";
import { Alerts, announce, Crumbs, Heading, Link, ProblemText } from "../ui/parts.tsx";
import { edited } from "./key.tsx";

export async function editScreen({ params: { id } }: Address): Promise<Screen> {
  const [key, known] = await Promise.all([fresh(keyQuery(id)), realms()]);
  return { title: "Edit key", node: <Edit first={key} realm={known.find((one) => one.id === key.realm)} /> };
}

/** What somebody else has changed meanwhile. */
interface Meanwhile {
  problem: Problem;
  overlap: { label: string; theirs: string }[];
}

function Edit({ first, realm }: { first: ApiKey; realm: Realm | undefined }) {
  const [key, setKey] = useState(first);
  const [draft, setDraft] = useState(() => draftOf(first));
  const [meanwhile, setMeanwhile] = useState<Meanwhile | null>(null);
  const note = useRef<HTMLDivElement>(null);
  const back = keyPage(key.id);
  const onlyNames = !may("create", realm);

  async function save() {
    setMeanwhile(null);
    const body = changes(key, draft);
    if (Object.keys(body).length === 0) {
      announce("Nothing was changed.");
      return go(back);
    }
    try {
      // The version in the body: what stands between may change an ETag.
      const { effectiveEverywhereBy } = await patch(keyApi(key.id), body, {
        headers: { "If-Match": `"${key.version}"` },
      });
      edited.current = { id: key.id, at: effectiveEverywhereBy };
      return go(back);
    } catch (problem) {
      if (!(problem instanceof Problem && problem.status === 412)) throw problem;
      const now = await fresh(keyQuery(key.id));
      const { draft: merged, overlap } = rebased(draft, key, now);
      setKey(now);
      setDraft(merged);
      const detail =
        "Someone else changed this key while you were editing it, so nothing was saved yet. What you typed is still here; all else is as the key is now. Look it over, then save again.";
      setMeanwhile({ problem: problem.reworded(detail), overlap });
      return setTimeout(() => note.current?.focus());
    }
  }

  return (
    <>
      <Crumbs>
        <Link to="/keys">Keys</Link> /{" "}
        <Link to={back}>
          <Typed>{key.name}</Typed>
        </Link>
      </Crumbs>
      <Heading>
        Edit <Typed>{key.name}</Typed>
      </Heading>
      <div ref={note} tabIndex={-1}>
        <Alerts>
          {meanwhile && (
            <>
              <ProblemText problem={meanwhile.problem} />
              {meanwhile.overlap.map(({ label, theirs }) => (
                <p key={label} class="alert">
                  {label}: changed to <Typed>{theirs}</Typed> meanwhile; what you typed would replace that.
                </p>
              ))}
            </>
          )}
        </Alerts>
      </div>
      <Form submit="Save" onSubmit={save} cancelTo={back}>
        {onlyNames && (
          <p class="hint">Only owners can change what this key may do. You can change its name and tags.</p>
        )}
        <KeySettings
          draft={draft}
          onChange={(changed) => setDraft({ ...draft, ...changed })}
          realm={realm}
          of={key}
          onlyNames={onlyNames}
        />
      </Form>
    </>
  );
}
