// Ctrl-K: goes to a screen, to a key by its name, a tag or its last four characters, or to a refused request by its id.

import { useEffect, useMemo, useState } from "preact/hooks";

import type { ApiKey } from "../../types/admin-api.js";
import { get, type Problem } from "../api.ts";
import { fresh } from "../cache.ts";
import { keyText, lastFourOfKey, REQUEST_ID, Typed } from "../format.tsx";
import { keyPage, requestPage } from "../paths.ts";
import { requestQuery } from "../queries.ts";
import { go } from "../router.ts";
import { may, realms } from "../session.ts";
import { openDialog } from "./dialog.tsx";
import type { IconName } from "./icons.tsx";
import { StatusBadge, useUniqueId } from "./parts.tsx";

/** A screen, in the rail and here. */
export interface Place {
  path: string;
  title: string;
  icon: IconName;
}

/** What is said of the id of a request of which nothing is known. */
export const NO_ENTRY =
  "No refusal has this id. Accepted requests leave no entry. Refusals come up to 5.5 minutes late and are kept for a day; of many at once, only some.";

const TYPING_MS = 200;
const MOST_KEYS = 8;
/** Characters; the API takes no more. */
const LONGEST_SEARCH = 100;

/** Apart, since a native one would have a `list`. */
const COMBOBOX = { role: "combobox", list: undefined, "aria-label": "Find", "aria-autocomplete": "list" } as const;

let isOpen = false;

export async function openPalette(places: Place[]) {
  if (isOpen || document.querySelector("dialog[open]")) return;
  isOpen = true;
  try {
    await openDialog({
      label: "Find",
      class: "palette",
      children: (close) => <Palette places={places} close={close} />,
    });
  } finally {
    isOpen = false;
  }
}

interface Found {
  path: string;
  text: string;
  apiKey?: ApiKey;
}

function Palette({ places, close }: { places: Place[]; close: () => void }) {
  const id = useUniqueId();
  const [typed, setTyped] = useState("");
  const [said, setSaid] = useState("");
  const [keys, setKeys] = useState<ApiKey[]>([]);
  const [refused, setRefused] = useState<Found[]>([]);
  const [isSearching, setSearching] = useState(false);
  const [actions, setActions] = useState<Found[]>([]);
  const [chosen, setChosen] = useState(0);
  const wanted = typed.trim().toLowerCase();

  useEffect(() => {
    realms().then(
      (known) =>
        known.some((realm) => may("create", realm)) && setActions([{ path: "/keys/new", text: "Create a key" }]),
      () => {},
    );
  }, []);

  useEffect(() => {
    setRefused([]);
    setSearching(wanted !== "");
    if (wanted === "") return setKeys([]);
    let isLate = false;
    const timer = setTimeout(async () => {
      try {
        const [{ apiKeys }, refusal] = await Promise.all([
          get("/api-keys", { q: typed.trim(), limit: MOST_KEYS }),
          REQUEST_ID.test(wanted) && fresh(requestQuery(wanted)),
        ]);
        if (isLate) return;
        setKeys(apiKeys);
        if (refusal) setRefused([{ path: requestPage(wanted), text: `Refused request ${wanted}: ${refusal.code}` }]);
      } catch (problem) {
        if (!isLate) setSaid((problem as Problem).message);
      }
      if (!isLate) setSearching(false);
    }, TYPING_MS);
    return () => {
      isLate = true;
      clearTimeout(timer);
    };
  }, [wanted, typed]);

  const found = useMemo<Found[]>(() => {
    const screens = [
      ...places.map(({ path, title }) => ({ path, text: title })),
      { path: "/settings", text: "Settings" },
      ...actions,
    ];
    return [
      ...screens.filter(({ text }) => text.toLowerCase().includes(wanted)),
      ...refused,
      ...keys.map((apiKey) => ({ path: keyPage(apiKey.id), text: apiKey.name, apiKey })),
    ];
  }, [places, actions, refused, keys, wanted]);
  const at = Math.min(chosen, found.length - 1);

  /** Of a whole key it is the last four characters that are searched for: it must not get to the server. */
  async function type(text: string) {
    setChosen(0);
    setSaid("");
    // Held back until it is known what a key looks like.
    const last4 = lastFourOfKey(text, await realms().catch(() => []));
    setTyped((last4 ?? text).slice(0, LONGEST_SEARCH));
    if (last4 !== undefined) setSaid("That was a whole key. It was not sent anywhere.");
  }

  function open(path: string) {
    close();
    go(path);
  }

  function onKeyDown(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setChosen((at + step + found.length) % Math.max(found.length, 1));
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      const target = found[at];
      if (target) open(target.path);
    }
  }

  return (
    <>
      {/* biome-ignore lint/a11y/useAriaPropsSupportedByRole: its role is in COMBOBOX. */}
      <input
        type="text"
        {...COMBOBOX}
        placeholder="A screen, a key by name, tag or last four, a request id"
        aria-expanded={found.length > 0}
        aria-controls={id}
        aria-activedescendant={found[at] && `${id}-${at}`}
        autoComplete="off"
        spellcheck={false}
        value={typed}
        onInput={({ currentTarget }) => void type(currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      {/* biome-ignore-start lint/a11y/useFocusableInteractive: the focus stays in the field, which names the option. */}
      {/* biome-ignore-start lint/a11y/useKeyWithClickEvents: the same. */}
      <div id={id} role="listbox" aria-label="Found">
        {found.map(({ path, text, apiKey }, index) => (
          <div
            key={path}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onClick={() => open(path)}
            onPointerMove={() => setChosen(index)}
          >
            <Typed>{text}</Typed>
            {apiKey && (
              <>
                <code class="faint">{keyText(apiKey)}</code>
                <StatusBadge of={apiKey} />
              </>
            )}
          </div>
        ))}
      </div>
      {/* biome-ignore-end lint/a11y/useKeyWithClickEvents: see above */}
      {/* biome-ignore-end lint/a11y/useFocusableInteractive: see above */}
      <p class="hint" role="status">
        {said ||
          (found.length === 0 && !isSearching && (REQUEST_ID.test(wanted) ? NO_ENTRY : "Nothing is called that."))}
      </p>
    </>
  );
}
