// Modal dialogs on <dialog>: Escape closes them, and the focus goes back to where it was.

import { type ComponentChildren, render } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { Problem, post } from "../api.ts";
import { ownOptions, use } from "../passkeys.ts";
import { hasPasswords, issuerName, member, shownByIssuer } from "../session.ts";
import { Form, PasswordField, type Values, Whose } from "./form.tsx";
import { Button, uniqueId } from "./parts.tsx";
import { AtIssuer, ByIssuer, ByPasskey, SIGN_IN, SignInFields, signInWith } from "./sign-in-form.tsx";

interface DialogProps {
  /** Its name, for screen readers. */
  labelledBy?: string;
  label?: string;
  class?: string;
  onClose: () => void;
  children: (close: () => void) => ComponentChildren;
}

function Dialog({ labelledBy, label, onClose, children, ...props }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => element.current?.showModal(), []);
  return (
    <dialog ref={element} aria-labelledby={labelledBy} aria-label={label} onClose={onClose} {...props}>
      {children(() => element.current?.close())}
    </dialog>
  );
}

/** Shows a dialog until it is closed, by itself or by the person. */
export function openDialog(props: Omit<DialogProps, "onClose">) {
  return new Promise<void>((resolve) => {
    const place = document.createElement("div");
    document.body.append(place);
    const onClose = () => {
      render(null, place);
      place.remove();
      resolve();
    };
    render(<Dialog {...props} onClose={onClose} />, place);
  });
}

/** Closes whatever is open. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

interface Question<Answer> {
  title: ComponentChildren;
  submit: string;
  onSubmit: (values: Values) => Answer | Promise<Answer>;
  danger?: boolean;
  dismiss?: string;
  /** One more button. */
  also?: ComponentChildren;
  class?: string;
  body?: ComponentChildren;
}

/**
 * A dialog with a form. Resolves to what `onSubmit` resolves to, as `{ answer }`, or to null when it is dismissed.
 * While `onSubmit` throws, the dialog stays and shows why.
 */
export async function ask<Answer>({ class: kind, ...question }: Question<Answer>): Promise<{ answer: Answer } | null> {
  let result: { answer: Answer } | null = null;
  const id = uniqueId();
  await openDialog({
    labelledBy: id,
    class: kind,
    children: (close) => (
      <Asked
        id={id}
        {...question}
        close={close}
        onSubmit={async (values) => {
          result = { answer: await question.onSubmit(values) };
          close();
        }}
      />
    ),
  });
  return result;
}

type AskedProps = Question<void> & { id: string; close: () => void };

const Asked = ({ id, title, submit, danger, dismiss = "Cancel", also, body, onSubmit, close }: AskedProps) => (
  <>
    <h2 id={id}>{title}</h2>
    <Form
      submit={submit}
      danger={danger}
      cancel={
        <>
          {also}
          <Button onClick={close}>{dismiss}</Button>
        </>
      }
      onSubmit={onSubmit}
    >
      {body}
    </Form>
  </>
);

const WHY = "This action requires confirmation. You will not be asked again for five minutes.";

/** A passkey or the password once more, for an action that asks for a fresh one. */
export async function stepUp(problem: Problem) {
  const options = hasPasswords && (await ownOptions());
  const byPasskey =
    options &&
    (await ask({
      title: "Confirm with your passkey",
      submit: "Use a passkey",
      dismiss: "Use the password",
      onSubmit: async () => post("/session/step-up", { passkey: await use(options) }),
      body: <p>{WHY}</p>,
    }));
  if (byPasskey) return;
  const done = await ask({
    title: hasPasswords ? "Confirm with your password" : `Confirm with ${issuerName}`,
    submit: "Confirm",
    also: <ByIssuer verb="Confirm" />,
    async onSubmit(values) {
      const byIssuer = !hasPasswords || values("issuer") !== "";
      try {
        await post("/session/step-up", byIssuer ? await shownByIssuer("step-up") : { password: values("password") });
      } catch (refusal) {
        throw refusal instanceof Problem && refusal.status === 401 && !byIssuer ? refusal.at("password") : refusal;
      }
    },
    body: (
      <>
        <p>{hasPasswords ? WHY : `This action requires that you have just signed in with ${issuerName}.`}</p>
        <Whose email={member?.email ?? ""} />
        <PasswordField autoFocus />
        {(issuerName || !hasPasswords) && <AtIssuer />}
      </>
    ),
  });
  if (!done) throw problem.reworded("Nothing was changed: it was not confirmed.");
}

/**
 * Sign-in over the screen on which the session ended, so that nothing that was typed is lost. Covers what was shown.
 * Whether somebody signed in.
 */
export const signInAgain = () =>
  ask({
    title: "Sign in",
    submit: SIGN_IN,
    class: "cover",
    onSubmit: signInWith,
    also: (
      <>
        <ByPasskey />
        <ByIssuer />
      </>
    ),
    body: (
      <>
        <p>Your session has ended. Sign in to go on where you were.</p>
        <SignInFields email={member?.email} />
      </>
    ),
  });
