// A one-time link for somebody, as it is shown to whoever made it.

import type { CreatedInvitation } from "../../types/admin-api.js";
import { Time, Typed } from "../format.tsx";
import { reload } from "../router.ts";
import type { Made, useShownOnce } from "./shown-once.tsx";

export type Make = ReturnType<typeof useShownOnce>["make"];

export const madeFor = ({ invitation, url }: CreatedInvitation): Made => ({
  secret: url,
  before: (
    <>
      Send this link to <Typed>{invitation.email}</Typed>. It works once, until <Time at={invitation.expiresAt} />.
    </>
  ),
  onSaved: reload,
});
