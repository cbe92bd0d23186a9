// The one moment in which the text of a key, or of a link, is on the page. It is held by the banner alone, and gone with
// it: when the banner is closed, when the page is left, when the page goes into the back-forward cache.

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { useGuard } from "../router.ts";
import { CopyLine } from "./copy.tsx";
import { ask } from "./dialog.tsx";
import { useFocus } from "./form.tsx";
import { announce, Button } from "./parts.tsx";

type What = "key" | "link";

/** What was made: its text, what is said around it, and where to go once it is saved. */
export interface Made {
  secret: string;
  before: ComponentChildren;
  /** How it is used; a part of what is gone with it. */
  uses?: ComponentChildren;
  after?: ComponentChildren;
  onSaved: () => void;
}

const warn = (event: BeforeUnloadEvent) => event.preventDefault();

/**
 * Makes a key or a link and shows it: `made` is the banner, once there is one. Whoever wants to leave meanwhile stays until
 * it is there, or until it is known why it is not: otherwise it would be made, and never shown.
 */
export function useShownOnce(what: What) {
  const [made, setMade] = useState<Made | null>(null);
  const isShown = useRef(false);
  const underWay = useRef<Promise<void> | null>(null);

  async function make(work: () => Promise<Made>) {
    addEventListener("beforeunload", warn);
    const working = work().then((result) => {
      isShown.current = true;
      setMade(result);
    });
    underWay.current = working;
    try {
      await working;
    } finally {
      underWay.current = null;
      removeEventListener("beforeunload", warn);
    }
  }

  const close = useCallback(() => {
    isShown.current = false;
    setMade(null);
  }, []);

  const leave = useCallback(async () => {
    const working: Promise<void> | null = underWay.current;
    if (working !== null) {
      announce(`The ${what} is being made. It will be shown in a moment.`);
      try {
        await working;
      } catch {
        // The form says why.
        return false;
      }
    }
    if (!isShown.current) return true;
    const sure = await ask({
      title: `Leave without saving the ${what}?`,
      submit: "Leave",
      danger: true,
      dismiss: "Stay",
      onSubmit: () => undefined,
      body: <p>The {what} is shown only once. If you have not saved it, it is lost, and you will need another one.</p>,
    });
    if (sure) close();
    return Boolean(sure);
  }, [what, close]);
  useGuard(leave);

  const banner = made && <Banner what={what} made={made} close={close} />;
  return { banner, make };
}

function Banner({ what, made, close }: { what: What; made: Made; close: () => void }) {
  const title = useFocus<HTMLHeadingElement>();

  useEffect(() => {
    addEventListener("beforeunload", warn);
    addEventListener("pagehide", close);
    return () => {
      removeEventListener("beforeunload", warn);
      removeEventListener("pagehide", close);
    };
  }, [close]);

  function saved() {
    close();
    made.onSaved();
  }

  return (
    <div class="stack">
      <p>{made.before}</p>
      <section class="banner" aria-labelledby="new-key-title">
        <h2 id="new-key-title" tabIndex={-1} ref={title}>
          Copy this {what} now
        </h2>
        <p>It is shown only once. Only a hash of it is kept, so nobody can show it again.</p>
        <CopyLine what={what} text={made.secret} isMain />
        {made.uses}
        <Button onClick={saved}>I have saved it</Button>
      </section>
      {made.after}
    </div>
  );
}
