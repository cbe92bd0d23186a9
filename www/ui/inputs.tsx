// Inputs outside of forms: they count at once, or when they are left.

import type { PartialInputHTMLAttributes } from "preact";
import { useState } from "preact/hooks";

type CommittedProps = Omit<
  PartialInputHTMLAttributes<HTMLInputElement>,
  "value" | "type" | "role" | "list" | "onInput" | "onChange"
> & { type?: string; value: string; onCommit: (value: string) => void };

/** An input that counts once it is left, or at Enter. What is being typed survives the screen being shown anew. */
export function Committed({ value, onCommit, type = "text", ...props }: CommittedProps) {
  // Not kept by an effect: that runs after the input is on the screen, and would undo what was typed by then.
  const [draft, setDraft] = useState({ of: value, text: value });
  return (
    <input
      type={type as "text"}
      {...props}
      value={draft.of === value ? draft.text : value}
      onInput={({ currentTarget }) => setDraft({ of: value, text: currentTarget.value })}
      onChange={({ currentTarget }) => {
        const text = currentTarget.value.trim();
        setDraft({ of: value, text: value });
        onCommit(text);
      }}
    />
  );
}

/** What is typed to find something in a list that is there already: a field, and whether a text has it. */
export function useFinder(label: string, placeholder = label) {
  const [wanted, setWanted] = useState("");
  const isWanted = (text: string) => text.toLowerCase().includes(wanted.trim().toLowerCase());
  const finder = (
    <input
      type="search"
      aria-label={label}
      placeholder={placeholder}
      value={wanted}
      onInput={({ currentTarget }) => setWanted(currentTarget.value)}
    />
  );
  return { finder, isWanted };
}
