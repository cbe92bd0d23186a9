// Forms: a label, a hint and a place for an error with each control; problems shown where they belong. What was typed
// stays until it was accepted.

import {
  type ComponentChildren,
  createContext,
  type JSX,
  type PartialInputHTMLAttributes,
  type PartialSelectHTMLAttributes,
  type RefObject,
} from "preact";
import { useContext, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { FieldError } from "../../types/admin-api.js";
import { Problem } from "../api.ts";
import { hasPasswords } from "../session.ts";
import { Alerts, Link, ProblemText, useUniqueId } from "./parts.tsx";

/** What went wrong with the fields of a form, by field. */
const Errors = createContext<Record<string, string[]>>({});

/** What the controls of a form have, by name; without the spaces around it. */
export type Values = (name: string) => string;

export interface FormProps {
  submit: ComponentChildren;
  /** May throw: what is wrong with a field is shown beside it, all else above. While it runs, a second submit does nothing. */
  onSubmit: (values: Values) => unknown;
  /** The other button; or the screen that a link in its place leads to. */
  cancel?: ComponentChildren;
  cancelTo?: string;
  danger?: boolean;
  children?: ComponentChildren;
}

interface Found {
  problem: unknown;
  byField: Record<string, string[]>;
  homeless: FieldError[];
}

export function Form({ submit, onSubmit, cancel, cancelTo, danger, children }: FormProps) {
  const element = useRef<HTMLFormElement>(null);
  const [found, setFound] = useState<Found | null>(null);
  const [isBusy, setBusy] = useState(false);
  // At once: the second of two clicks may come before the form is shown anew.
  const busy = useRef(false);

  async function run(form: HTMLFormElement, button: HTMLElement | null) {
    if (busy.current) return;
    busy.current = true;
    setBusy(true);
    setFound(null);
    try {
      await onSubmit(valuesOf(form, button));
    } catch (problem) {
      // What was refused as a password is typed anew.
      if (problem instanceof Problem && problem.status === 401)
        for (const input of form.querySelectorAll<HTMLInputElement>("[autocomplete=current-password]"))
          input.value = "";
      setFound(sorted(form, problem));
    } finally {
      busy.current = false;
      setBusy(false);
    }
  }

  useLayoutEffect(() => {
    const fields = [...(element.current?.querySelectorAll<HTMLElement>("[data-field]") ?? [])];
    const wrong = fields.filter((field) => found?.byField[field.dataset.field ?? ""]);
    for (const field of wrong) field.closest("details")?.setAttribute("open", "");
    if (wrong[0]) controlOf(wrong[0]).focus();
  }, [found]);

  const hasField = found !== null && Object.keys(found.byField).length > 0;
  return (
    <form
      ref={element}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void run(event.currentTarget, event.submitter);
      }}
    >
      <Alerts>
        {found && (!hasField || found.homeless.length > 0) && <ProblemText problem={found.problem} />}
        {found?.homeless.map(({ field, message }) => (
          <p key={field} class="alert">
            {field}: {message}
          </p>
        ))}
      </Alerts>
      <Errors.Provider value={found?.byField ?? {}}>{children}</Errors.Provider>
      <div class="actions">
        <button type="submit" class={danger ? "danger" : "primary"} aria-disabled={isBusy || undefined}>
          {submit}
        </button>
        {cancel}
        {cancelTo && (
          <Link class="button" to={cancelTo}>
            Cancel
          </Link>
        )}
      </div>
    </form>
  );
}

function valuesOf(form: HTMLFormElement, button: HTMLElement | null): Values {
  const data = new FormData(form, button);
  return (name) => {
    const value = data.get(name);
    if (typeof value !== "string") return "";
    // Nobody sees the spaces around what they pasted; of a password they may be a part.
    const control = form.elements.namedItem(name);
    return control instanceof HTMLInputElement && control.type === "password" ? value : value.trim();
  };
}

/** Which of a problem's errors have a field in the form. */
function sorted(form: HTMLFormElement, problem: unknown): Found {
  const byField: Found["byField"] = {};
  const homeless: FieldError[] = [];
  for (const error of problem instanceof Problem ? problem.errors : []) {
    const home = homeOf(form, error.field);
    if (home === null) homeless.push(error);
    else byField[home] = [...(byField[home] ?? []), sentence(error)];
  }
  return { problem, byField, homeless };
}

/** The field of `rateLimit.perMinute` or `allowedIps[2]`: it itself, else what it is a part of. */
function homeOf(form: HTMLFormElement, name: string) {
  for (let part = name; part; part = part.replace(/(^|[.[])[^.[]*$/, "")) {
    const home = form.querySelector(`[data-field="${CSS.escape(part)}"]`);
    if (home && !home.closest("[hidden]")) return part;
  }
  return null;
}

/** The API's messages go on from the field's name: `must be …`. In a list, say which entry. */
function sentence({ field, message }: FieldError) {
  const entry = /\[(\d+)\]$/.exec(field);
  if (entry) return `Entry ${Number(entry[1]) + 1} ${message}.`;
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

const controlOf = (home: HTMLElement) =>
  home.querySelector<HTMLElement>("input:not([type=hidden]):not(:disabled), select, textarea") ??
  home.querySelector<HTMLElement>("button") ??
  home;

function useErrors(name: string) {
  const errors = useContext(Errors)[name] ?? [];
  const lines = errors.map((error) => <span key={error}>{error}</span>);
  return { isWrong: errors.length > 0, lines };
}

/** What a control of a field gets from it. */
interface Attributes {
  id: string;
  name: string;
  "aria-describedby": string;
  "aria-invalid": true | undefined;
}

interface FieldProps {
  name: string;
  label: string;
  hint?: ComponentChildren;
  hidden?: boolean;
}

/** A control with its label above, and its hint and error below. */
export function Field({
  name,
  label,
  hint,
  hidden,
  children,
}: FieldProps & { children: (attributes: Attributes) => ComponentChildren }) {
  const id = useUniqueId();
  const { isWrong, lines } = useErrors(name);
  return (
    <div class={isWrong ? "field wrong" : "field"} data-field={name} hidden={hidden}>
      <label for={id}>{label}</label>
      {children({
        id,
        name,
        "aria-describedby": hint ? `${id}-hint ${id}-error` : `${id}-error`,
        "aria-invalid": isWrong || undefined,
      })}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      <p class="error" id={`${id}-error`}>
        {lines}
      </p>
    </div>
  );
}

const PLAIN = { autoComplete: "off", spellcheck: false };

/** Gets the focus when its screen or dialog is shown. */
export const FOCUS = { "data-focus": true, autoFocus: true };

type InputProps = Omit<PartialInputHTMLAttributes<HTMLInputElement>, "name" | "label" | "type" | "role" | "list"> & {
  type?: "text" | "email" | "url" | "password";
} & FieldProps;

/** A text input, in a field. To Preact, each `type` is another kind of input, whose attributes differ. */
export const TextField = ({ name, label, hint, hidden, type = "text", ...props }: InputProps) => (
  <Field name={name} label={label} hint={hint} hidden={hidden}>
    {(attributes) => <input type={type as "text"} {...PLAIN} {...attributes} {...props} />}
  </Field>
);

type AreaProps = Omit<JSX.IntrinsicElements["textarea"], "name" | "label"> & FieldProps;

export const AreaField = ({ name, label, hint, hidden, ...props }: AreaProps) => (
  <Field name={name} label={label} hint={hint} hidden={hidden}>
    {(attributes) => <textarea rows={2} {...PLAIN} {...attributes} {...props} />}
  </Field>
);

/** Values and what they are called. */
export type Options = readonly (readonly [value: string, text: string])[];

type SelectProps = Omit<
  PartialSelectHTMLAttributes<HTMLSelectElement>,
  "onChange" | "value" | "role" | "size" | "multiple"
> & {
  options: Options;
  value?: string;
  onChange?: (value: string) => void;
};

export function Select({ options, value, onChange, ...props }: SelectProps) {
  const [own, setOwn] = useState(value ?? "");
  const chosen = onChange ? (value ?? "") : own;
  return (
    <select {...props} value={chosen} onChange={({ currentTarget }) => (onChange ?? setOwn)(currentTarget.value)}>
      {options.map(([key, text]) => (
        <option key={key} value={key} selected={key === chosen}>
          {text}
        </option>
      ))}
    </select>
  );
}

export const SelectField = ({ name, label, hint, ...props }: SelectProps & FieldProps) => (
  <Field name={name} label={label} hint={hint}>
    {(attributes) => <Select {...attributes} {...props} />}
  </Field>
);

interface PillsProps {
  name: string;
  options: Options;
  value: string;
  onChange: (value: string) => void;
}

/** One of a few, side by side. */
export const Pills = ({ name, options, value, onChange }: PillsProps) => (
  <div class="pills">
    {options.map(([key, text]) => (
      <label key={key}>
        <input type="radio" name={name} value={key} checked={key === value} onChange={() => onChange(key)} />
        {text}
      </label>
    ))}
  </div>
);

/** What few people need, folded until it is asked for, or something in it is wrong. */
export const Folded = ({
  title,
  isOpen,
  children,
}: {
  title: string;
  isOpen: boolean;
  children: ComponentChildren;
}) => (
  <details class="folded" open={useState(isOpen)[0]}>
    <summary>{title}</summary>
    <div class="fields">{children}</div>
  </details>
);

/** Several controls under one legend, with one place for an error about all of them. */
export function Group({
  name,
  legend,
  hidden,
  children,
}: {
  name: string;
  legend: ComponentChildren;
  hidden?: boolean;
  children: ComponentChildren;
}) {
  const id = useUniqueId();
  const { isWrong, lines } = useErrors(name);
  return (
    <fieldset
      class={isWrong ? "field wrong" : "field"}
      data-field={name}
      aria-describedby={`${id}-error`}
      hidden={hidden}
    >
      <legend>{legend}</legend>
      {children}
      <p class="error" id={`${id}-error`}>
        {lines}
      </p>
    </fieldset>
  );
}

interface ChoiceProps {
  type: "radio" | "checkbox";
  name: string;
  value: string;
  label: ComponentChildren;
  hint?: ComponentChildren;
  checked: boolean;
  disabled?: boolean;
  /** Chosen because another choice includes it. */
  isImplied?: boolean;
  onChange: (checked: boolean) => void;
}

/** A radio button or checkbox with its text beside it and a hint below. */
export function Choice({ label, hint, isImplied, onChange, ...props }: ChoiceProps) {
  const id = useUniqueId();
  return (
    <div class={isImplied ? "choice implied" : "choice"}>
      <input
        id={id}
        aria-describedby={hint ? `${id}-hint` : undefined}
        {...props}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

type LocalTimeProps = {
  name: string;
  label: string;
  value: string;
  hidden?: boolean;
  onChange: (value: string) => void;
};

/** An input for a time in the person's own zone, to the second. */
export const LocalTime = ({ label, onChange, ...props }: LocalTimeProps) => (
  <input
    type="datetime-local"
    step="1"
    aria-label={label}
    {...PLAIN}
    {...props}
    onInput={({ currentTarget }) => onChange(currentTarget.value)}
  />
);

/** The form that such an input wants: local time without a zone. */
export function localTimeOf(iso: string | null | undefined) {
  if (!iso) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** Tells password managers whose password a form asks for. */
export const Whose = ({ email }: { email: string }) => (
  <input type="email" autoComplete="username" value={email} readOnly hidden />
);

export const EmailField = (props: Partial<InputProps>) => (
  <TextField name="email" label="E-mail address" type="email" {...props} />
);

/** A password that there is: of whoever signs in, or confirms something. Nothing where people have none. */
export const PasswordField = (props: Partial<InputProps>) =>
  hasPasswords && (
    <TextField name="password" label="Password" type="password" autoComplete="current-password" required {...props} />
  );

/** A password that is chosen here: one's own. */
export const NewPasswordField = (props: Partial<InputProps>) => (
  <PasswordField
    hint="At least 12 characters. Best made by a password manager."
    autoComplete="new-password"
    {...props}
  />
);

/** The password that was chosen, if people have any. */
export const chosen = (values: Values) => (hasPasswords ? values("password") : undefined);

/** The first password of somebody else. */
export const FirstPasswordField = (props: Partial<InputProps>) => (
  <NewPasswordField label="First password" hint="Pass it on to them securely." {...props} />
);

/**
 * A number as people type it: digits only. What is anything else goes to the server as it is, which says what is wrong with
 * it; `Number` would take `0x10` and `1e3`.
 */
export const wholeNumber = (typed: string): number | string => (/^[0-9]{1,15}$/.test(typed) ? Number(typed) : typed);

/** Puts the focus on an element when it appears. */
export function useFocus<Target extends HTMLElement>(): RefObject<Target | null> {
  const target = useRef<Target>(null);
  useEffect(() => target.current?.focus(), []);
  return target;
}
