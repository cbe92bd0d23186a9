// Modal dialogs on <dialog>: Escape closes them, and the focus goes back to where it was.

import { call, Problem } from "./api.js";
import { button, h, uniqueId } from "./dom.js";
import { field, form, input } from "./form.js";
import { member } from "./session.js";

/**
 * A dialog with a form. Resolves to what `onsubmit` returns, or to null when it is dismissed. While
 * `onsubmit` throws, the dialog stays and shows why.
 */
export function ask({ title, submit, danger, onsubmit, dismiss = "Cancel" }, ...children) {
  return new Promise((resolve) => {
    const id = uniqueId("dialog");
    let result = null;
    const dialog = h(
      "dialog",
      { "aria-labelledby": id },
      h("h2", { id }, title),
      form(
        {
          submit,
          danger,
          cancel: button(dismiss, () => dialog.close()),
          async onsubmit(element) {
            result = (await onsubmit?.(element)) ?? true;
            dialog.close();
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

/** The password once more, for an action that asks for a fresh one. */
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
          await call("POST", "/session/step-up", { body: { password: password.value } });
        } catch (refusal) {
          if (refusal.status !== 401) throw refusal;
          const detail = refusal.message;
          throw new Problem(
            { ...refusal, detail, errors: [{ field: "password", message: detail }] },
            { cause: refusal },
          );
        } finally {
          password.value = "";
        }
      },
    },
    h("p", null, "This action asks for your password again. It then holds for five minutes."),
    // Tells password managers whose password it is.
    h("input", { type: "email", autocomplete: "username", value: member.email, readOnly: true, hidden: true }),
    field("Password", password),
  );
  if (!done) throw new Problem({ ...problem, detail: "Nothing was changed: the password was not given." });
}
