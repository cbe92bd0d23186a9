// Copies what is on the page.

import { useRef, useState } from "preact/hooks";

import { announce, Button } from "./parts.tsx";

/** It can be read, and selected, with the keyboard. Not a field, which browsers would remember. */
const READ_ONLY = { role: "textbox", "aria-readonly": true, tabIndex: 0 } as const;

interface CopyProps {
  /** `key`, `curl line` */
  what: string;
  text: string;
  isMain?: boolean;
}

/** A text, and a button that copies it. */
export function CopyLine({ what, text, isMain }: CopyProps) {
  const shown = useRef<HTMLElement>(null);
  const [isCopied, setCopied] = useState(false);
  const id = what.match(/\w+/g)?.join("-");

  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      announce(`The ${what} is in the clipboard.`);
    } catch {
      // No permission, or no secure context: select it, so that one keystroke copies it.
      if (shown.current) getSelection()?.selectAllChildren(shown.current);
      announce(`The browser did not allow copying. The ${what} is selected: copy it with Ctrl+C or ⌘C.`);
    }
  }

  return (
    <div class="copied">
      {/* biome-ignore lint/a11y/useAriaPropsSupportedByRole: its role is in READ_ONLY. */}
      <code
        ref={shown}
        class={isMain ? "new-key" : "new-key line"}
        data-testid={`new-${id}`}
        {...READ_ONLY}
        aria-label={`The new ${what}`}
      >
        {text}
      </code>
      <Button class={isMain ? "primary" : "small"} data-testid={`copy-${id}`} onClick={copy}>
        {isCopied ? "Copied" : `Copy ${what}`}
      </Button>
    </div>
  );
}
