// Importing keys that were made elsewhere, by their hash: first it is said what would happen, then it is done.

import { useRef, useState } from "preact/hooks";

import type { Imported } from "../../types/admin-api.js";
import { Problem, post } from "../api.ts";
import { plural } from "../format.tsx";
import type { Screen } from "../router.ts";
import { realms } from "../session.ts";
import { AreaField, Field, Form } from "../ui/form.tsx";
import { Crumbs, Heading, Link, Table } from "../ui/parts.tsx";

/** The API takes no more. */
const MOST_BYTES = 1_000_000;
const EXAMPLE = `{"hash": "<SHA-256 of the key>", "name": "Checkout", "scopes": ["orders:read"], "last4": "x7Kq"}`;

export async function importScreen(): Promise<Screen> {
  const takes = (await realms()).filter(({ imported }) => imported !== null);
  return { title: "Import keys", node: <Import into={takes.map(({ id }) => id)} /> };
}

interface Answered {
  text: string;
  isDone: boolean;
  result: Imported;
}

function Import({ into }: { into: string[] }) {
  const [answered, setAnswered] = useState<Answered | null>(null);
  const [fileProblem, setFileProblem] = useState("");
  const field = useRef<HTMLDivElement>(null);
  const area = () => field.current?.querySelector("textarea");
  const ready = answered !== null && !answered.isDone && answered.result.wrong === 0 && answered.result.imported > 0;

  async function read(file: File | undefined) {
    const place = area();
    if (!file || !place) return;
    const isLarge = file.size > MOST_BYTES;
    setFileProblem(isLarge ? "The file has more than a megabyte: import it in parts." : "");
    if (isLarge) return;
    try {
      place.value = await file.text();
    } catch {
      return setFileProblem("The file cannot be read. Choose it again.");
    }
    setAnswered(null);
  }

  async function send(text: string) {
    if (!text) throw new Problem({ status: 400, errors: [{ field: "lines", message: "is required" }] });
    const isDone = ready && answered.text === text;
    const result = await post(`/api-keys/import?dryRun=${!isDone}` as const, text, { isQuestion: !isDone });
    setAnswered({ text, isDone: isDone && result.wrong === 0, result });
    const place = area();
    if (isDone && result.wrong === 0 && place) place.value = "";
  }

  const title = (
    <>
      <Crumbs>
        <Link to="/keys">Keys</Link>
      </Crumbs>
      <Heading>Import keys</Heading>
    </>
  );
  if (into.length === 0) {
    return (
      <>
        {title}
        <div class="empty">
          <p>No realm takes keys that were made elsewhere.</p>
          <p class="hint">
            Describe them in the policy, under <code>[realm.imported]</code>, and deploy it.
          </p>
        </div>
      </>
    );
  }
  return (
    <>
      {title}
      <p>
        Keys that were made elsewhere go on working here. Keyward takes the SHA-256 of each, never the key itself: a
        line of JSON for each key, with the fields of a new one.
      </p>
      <pre>{EXAMPLE}</pre>
      <Form
        submit={ready ? `Import ${plural(answered.result.imported, "key")}` : "Check"}
        cancelTo="/keys"
        onSubmit={(values) => send(values("lines"))}
      >
        <div ref={field}>
          <Field
            name="file"
            label="File"
            hint={
              fileProblem ? <span role="alert">{fileProblem}</span> : `For ${into.join(", ")}. At most 1,000 lines.`
            }
          >
            {(attributes) => (
              <input
                type="file"
                accept=".ndjson,.jsonl,.json,.txt"
                // So that the same file can be chosen again once it is mended.
                onClick={({ currentTarget }) => {
                  currentTarget.value = "";
                }}
                onChange={({ currentTarget }) => void read(currentTarget.files?.[0])}
                {...attributes}
              />
            )}
          </Field>
          <AreaField name="lines" label="Or paste the lines" rows={8} onInput={() => setAnswered(null)} />
        </div>
        {answered && <Outcome of={answered} />}
      </Form>
    </>
  );
}

/** What was done, or would be. */
function verdict({ isDone, result: { imported, repeated, wrong } }: Answered) {
  const before = repeated > 0 ? ` ${plural(repeated, "line")} already imported, unchanged.` : "";
  if (wrong > 0) return `${plural(wrong, "line")} to mend. Nothing is imported until all lines are right.`;
  if (isDone) return `${plural(imported, "key")} imported.${before}`;
  return `${plural(imported, "key")} can be imported.${before}`;
}

const Outcome = ({ of }: { of: Answered }) => (
  <section role="status" data-testid="imported">
    <p>
      <strong>{verdict(of)}</strong> {of.isDone && <Link to="/keys">See the keys</Link>}
    </p>
    {of.result.errors.length > 0 && (
      <Table
        caption="What is wrong"
        columns={[
          { title: "Line", cell: ({ line }) => line, narrow: "first" },
          { title: "Field", cell: ({ field }) => <code>{field}</code> },
          { title: "What is wrong", cell: ({ message }) => message },
        ]}
        rows={of.result.errors}
        keyOf={({ line, field, message }) => `${line} ${field} ${message}`}
        testId="import-error"
      />
    )}
  </section>
);
