// Makes a link that carries a person into a session, once, and shows it once.

import type { Link as MadeLink } from "../../types/admin-api.js";
import { post } from "../api.ts";
import { Time } from "../format.tsx";
import { go, type Screen } from "../router.ts";
import { FOCUS, Form, TextField } from "../ui/form.tsx";
import { Crumbs, Heading, Link } from "../ui/parts.tsx";
import { useShownOnce } from "../ui/shown-once.tsx";

export const linkScreen = (): Screen => ({
  title: "Create a link",
  node: (
    <>
      <Crumbs>
        <Link to="/keys">Keys</Link>
      </Crumbs>
      <Heading>Create a link</Heading>
      <CreateLink />
    </>
  ),
});

function CreateLink() {
  const { banner, make } = useShownOnce("link");
  if (banner) return banner;
  return (
    <>
      <p>Whoever opens the link is let in, once. Send it to one person.</p>
      <Form
        submit="Create link"
        onSubmit={(values) =>
          make(async () => {
            const [url, subject, sessionId] = ["url", "subject", "sessionId"].map(values);
            const body = { url, ...(subject && { subject }), ...(sessionId && { sessionId }) };
            const created: { link: MadeLink; url: string } = await post("/links", body);
            return {
              secret: created.url,
              before: (
                <>
                  The link works once, until <Time at={created.link.expiresAt} />.
                </>
              ),
              onSaved: () => go("/keys"),
            };
          })
        }
        cancelTo="/keys"
      >
        <TextField
          name="url"
          label="Page"
          hint="A page that takes sessions, such as https://shop.example.com/checkout?cart=7."
          type="url"
          aria-required
          {...FOCUS}
        />
        <TextField
          name="subject"
          label="Subject (optional)"
          hint="Whom the link is for, such as a cart or a customer. The origin is told."
        />
        <TextField
          name="sessionId"
          label="Session id (optional)"
          hint="What the session belongs to. The origin is told this, too."
        />
      </Form>
    </>
  );
}
