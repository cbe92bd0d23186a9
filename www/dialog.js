// Modal dialogs on <dialog>: Escape closes them, and the focus goes back to where it was.

import { Problem, post } from "./api.js";
import { button, h, uniqueId } from "./dom.js";
import { field, form, input } from "./form.js";
import { member } from "./session.js";

/** @import { Child } from "./dom.js" */

/**
 * A dialog with a form. Resolves to what `onsubmit` resolves to, as `{ answer }`, or to null when it is dismissed.
 * While `onsubmit` throws, the dialog stays and shows why.
 * @template Answer
 * @param {{ title: string, submit: string, onsubmit: () => Answer | Promise<Answer>, danger?: boolean, dismiss?: string }} what
 * @param {Child[]} children
 * @returns {Promise<{ answer: Answer } | null>}
 */
export function ask({ title, submit, onsubmit, danger, dismiss = "Cancel" }, ...children) {
  return new Promise((resolve) => {
    const id = uniqueId("dialog");
    /** @type {{ answer: Answer } | null} */
    let result = null;
    const close = () => dialog.close();
    /** @type {HTMLDialogElement} */
    const dialog = h(
      "dialog",
      { "aria-labelledby": id },
      h("h2", { id }, title),
      form(
        {
          submit,
          danger,
          cancel: button(dismiss, close),
          async onsubmit() {
            result = { answer: await onsubmit() };
            close();
          },
        },
        children,
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * The password once more, for an action that asks for a fresh one.
 * @param {Problem} problem
 */
export async function stepUp(problem) {
  const password = input("password", {
    type: "password",
    autocomplete: "current-password",
    required: true,
    autofocus: true,
  });
  const done = await ask(
    {
      title: "Confirm with your password",
      submit: "Confirm",
      async onsubmit() {
        try {
          await post("/session/step-up", { password: password.value });
        } catch (refusal) {
          if (!(refusal instanceof Problem && refusal.status === 401)) throw refusal;
          throw refusal.reworded(refusal.message, [{ field: "password", message: refusal.message }]);
        } finally {
          password.value = "";
        }
      },
    },
    h("p", null, "This action requires your password again. You will not be asked again for five minutes."),
    // Tells password managers whose password it is.
    h("input", { type: "email", autocomplete: "username", value: member?.email, readOnly: true, hidden: true }),
    field("Password", password),
  );
  if (!done) throw problem.reworded("Nothing was changed: the password was not given.");
}
