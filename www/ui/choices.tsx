// Choices that stand in the address, and what is read for them.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { type Query, useQuery } from "../cache.ts";
import { rename } from "../router.ts";
import type { Options } from "./form.tsx";
import { Alerts, Link, ProblemText } from "./parts.tsx";

/** What the address says of each choice; where it says nothing that is offered, the first one. */
export const chosenIn = (query: URLSearchParams, offered: Record<string, Options>) =>
  Object.fromEntries(
    Object.entries(offered).map(([name, options]) => [
      name,
      (options.find(([value]) => value === query.get(name)) ?? options[0])[0],
    ]),
  );

/** What is chosen, and links with which something else is: they change a part of the screen, and its address. */
export function useChoices(path: string, first: Record<string, string>) {
  const [chosen, setChosen] = useState(first);
  const choices = (name: string, label: string, options: Options) => (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for what is sent.
    <div class="switch" role="group" aria-label={label}>
      {options.map(([value, text]) => {
        const next = { ...chosen, [name]: value };
        const to = `${path}?${new URLSearchParams(next)}`;
        return (
          <Link
            key={value}
            to={to}
            aria-current={value === chosen[name] ? "true" : undefined}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              rename(to);
              setChosen(next);
            }}
          >
            {text}
          </Link>
        );
      })}
    </div>
  );
  return { chosen, choices };
}

interface LoadedProps<Data> {
  query: Query<Data>;
  children: (data: Data) => ComponentChildren;
}

/** A part of a screen that is not waited for; where it cannot be read, it says why. */
export function Loaded<Data>({ query, children }: LoadedProps<Data>) {
  const {
    pages: [data],
    problem,
    isChanging,
    retry,
  } = useQuery(query);
  return (
    <div class="stack" aria-busy={isChanging || undefined}>
      <Alerts>{problem !== null && <ProblemText problem={problem} retry={retry} />}</Alerts>
      {data !== undefined && children(data)}
    </div>
  );
}
