// Picks scopes from a realm's catalogue: `area:action` by area, what a scope includes shown as held,
// `area:*` and `*` offered with a warning, and what most keys need offered at once.

import type { ComponentChildren } from "preact";
import type { Scope } from "../../types/admin-api.js";
import { Choice, Group } from "./form.tsx";
import { useFinder } from "./inputs.tsx";
import { Button } from "./parts.tsx";

/** With more than this, there is a search field. */
const MANY = 10;
/** Of a preset. */
const MOST_NAMED = 3;

/** Every scope of the catalogue that these ones hold, themselves included. */
export function held(catalogue: Scope[], scopes: string[]) {
  const all = new Set(scopes);
  for (const { name } of catalogue) {
    if (all.has("*") || areasOf(name).some((area) => all.has(`${area}:*`))) all.add(name);
  }
  for (const { name, includes } of catalogue) {
    if (all.has(name)) for (const included of includes) all.add(included);
  }
  return all;
}

function hintOf({ description, grant, grantable }: Scope) {
  if (grantable) return description;
  const why = grant === "reserved" ? "Reserved: no key can hold it yet." : "Only an admin or owner can grant it.";
  return `${description}. ${why}`;
}

/** The areas that a scope is in, the widest first: `orders` and `orders:items` of `orders:items:read`. */
const areasOf = (scope: string) => [...scope.matchAll(/:/g)].map(({ index }) => scope.slice(0, index));

/** Every scope that a key may hold, wildcards too. */
export const holdable = (catalogue: Scope[]) =>
  new Set(["*", ...catalogue.flatMap(({ name }) => [name, ...areasOf(name).map((area) => `${area}:*`)])]);

const isToRead = ({ name }: Scope) => /:(read|list|view|get)$/.test(name);

/** What keys are mostly given, of what nobody has to be an admin for; each without what the rest of it includes. */
function presetsOf(catalogue: Scope[]): [title: string, scopes: string[]][] {
  const open = catalogue.filter(({ grantable, grant }) => grantable && grant === "anyone");
  const least = (scopes: Scope[]) => {
    const included = new Set(scopes.flatMap(({ includes }) => includes));
    return scopes.map(({ name }) => name).filter((name) => !included.has(name));
  };
  const [reading, all] = [least(open.filter(isToRead)), least(open)];
  const found: [string, string[]][] = [
    ["Read only", reading],
    ["Read and write", isSame(reading, all) ? [] : all],
    ["Everything", ["*"]],
  ];
  return found.filter(([, scopes]) => scopes.length > 0);
}

/** `a, b, c and 5 more` */
const brief = (names: string[]) =>
  names.slice(0, MOST_NAMED).join(", ") + (names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : "");

const isSame = (one: string[], other: string[]) => [...one].sort().join() === [...other].sort().join();

interface PickerProps {
  catalogue: Scope[];
  picked: string[];
  onChange: (picked: string[]) => void;
}

export function ScopePicker({ catalogue, picked, onChange }: PickerProps) {
  const all = held(catalogue, picked);
  const { finder, isWanted } = useFinder("Search scopes");
  const areas = byArea(catalogue);
  const listed = holdable(catalogue);
  // What a key holds and the catalogue no longer names must not get lost by an edit of something else.
  const strays = picked.filter((name) => !listed.has(name));

  const option = (name: string, hint: string, isFixed = false) => {
    const isOwn = picked.includes(name);
    const isImplied = !isOwn && all.has(name);
    return (
      <Choice
        key={name}
        type="checkbox"
        name="scopes"
        value={name}
        label={<code>{name}</code>}
        hint={hint}
        checked={isOwn || isImplied}
        disabled={isImplied || (isFixed && !isOwn)}
        isImplied={isImplied}
        onChange={(checked) => onChange(checked ? [...picked, name] : picked.filter((one) => one !== name))}
      />
    );
  };

  const wide = picked.filter((name) => name.endsWith("*"));
  return (
    <Group name="scopes" legend="Scopes">
      <div class="presets">
        {presetsOf(catalogue).map(([title, scopes]) => (
          <Button key={title} aria-pressed={isSame(picked, scopes)} onClick={() => onChange(scopes)}>
            {title}
            <span class="faint">
              {scopes[0] === "*" ? "and what is added later" : brief([...held(catalogue, scopes)])}
            </span>
          </Button>
        ))}
      </div>
      {catalogue.length > MANY && finder}
      <div class="areas">
        {[...areas].map(([area, scopes]) => {
          const found = scopes.filter(({ name, description }) => isWanted(`${name} ${description}`));
          return (
            found.length > 0 && (
              <Area key={area} title={area || "Other scopes"}>
                {found.map((scope) => option(scope.name, hintOf(scope), !scope.grantable))}
                {[...new Set(scopes.flatMap(({ name }) => areasOf(name)))].map((area) =>
                  option(`${area}:*`, `Everything in ${area}, including scopes added later.`),
                )}
              </Area>
            )
          );
        })}
        {strays.length > 0 && (
          <Area title="No longer in the catalogue">
            {strays.map((name) => option(name, "The policy no longer has this scope."))}
          </Area>
        )}
      </div>
      {option("*", "Everything in this realm, including scopes added later.")}
      <p class="warning" role="status" hidden={wide.length === 0}>
        {wide.length > 0 && warningOf(wide)}
      </p>
    </Group>
  );
}

const Area = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <fieldset class="area">
    <legend>{title}</legend>
    {children}
  </fieldset>
);

const warningOf = (wide: string[]) =>
  wide.includes("*")
    ? "This key may do everything, now and in future. So can anyone who finds it."
    : `This key gets every scope of ${wide.map((name) => name.slice(0, -2)).join(" and ")}, including those that do not exist yet.`;

function byArea(catalogue: Scope[]) {
  const areas = new Map<string, Scope[]>();
  for (const scope of catalogue) {
    const [area = ""] = areasOf(scope.name);
    areas.set(area, [...(areas.get(area) ?? []), scope]);
  }
  return areas;
}
