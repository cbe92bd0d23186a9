// The addresses from which a key may be used, as they are typed: one after the other.

import { useRef, useState } from "preact/hooks";

import { useQuery } from "../cache.ts";
import { sessionsQuery } from "../queries.ts";
import { Field } from "./form.tsx";
import { Button } from "./parts.tsx";

const wordsOf = (text: string) => text.split(/[\s,;]+/).filter(Boolean);

interface AddressesProps {
  /** One a line. */
  value: string;
  onChange: (value: string) => void;
}

export function Addresses({ value, onChange }: AddressesProps) {
  const [typed, setTyped] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const mine = useQuery(sessionsQuery()).pages[0]?.find(({ current }) => current)?.network;
  // What is still being typed counts, too: whoever sends the form has said it.
  const all = wordsOf(value);
  if (typed && all.at(-1) === typed) all.pop();
  const put = (addresses: string[]) => onChange(addresses.join("\n"));

  function add(text: string) {
    put([...new Set([...all, ...wordsOf(text)])]);
    setTyped("");
  }

  function type(text: string) {
    if (/[\s,;]/.test(text)) return add(text);
    setTyped(text);
    put([...all, text]);
  }

  return (
    <Field
      name="allowedIps"
      label="Allowed addresses"
      hint="Such as 203.0.113.7, or a range: 203.0.113.0/24. Without any, the key works from everywhere."
    >
      {(attributes) => (
        <>
          {(all.length > 0 || mine) && (
            <div class="chips">
              {all.map((address) => (
                <Button
                  key={address}
                  class="chip"
                  aria-label={`Remove ${address}`}
                  onClick={() => {
                    put(all.filter((one) => one !== address));
                    field.current?.focus();
                  }}
                >
                  {address} ×
                </Button>
              ))}
              {mine && !all.some((one) => one.split("/32")[0] === mine) && (
                <Button class="chip" onClick={() => add(mine)}>
                  + My address, {mine}
                </Button>
              )}
            </div>
          )}
          <input
            ref={field}
            type="text"
            autoComplete="off"
            spellcheck={false}
            {...attributes}
            value={typed}
            onInput={({ currentTarget }) => type(currentTarget.value)}
            // What a line break parts would be one word in the field.
            onPaste={(event) => {
              event.preventDefault();
              const { selectionStart, selectionEnd } = event.currentTarget;
              const pasted = event.clipboardData?.getData("text") ?? "";
              add(typed.slice(0, selectionStart ?? typed.length) + pasted + typed.slice(selectionEnd ?? typed.length));
            }}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || !typed) return;
              event.preventDefault();
              add(typed);
            }}
          />
        </>
      )}
    </Field>
  );
}
