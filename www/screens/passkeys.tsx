// One's own passkeys, in the settings.

import { remove } from "../api.ts";
import { useQuery } from "../cache.ts";
import { Ago, program, Time, Typed } from "../format.tsx";
import { add, areUsable, isAtAddress } from "../passkeys.ts";
import { passkeysQuery } from "../queries.ts";
import { useActing } from "../ui/acting.tsx";
import { ask } from "../ui/dialog.tsx";
import { FOCUS, TextField } from "../ui/form.tsx";
import { Badge, Button } from "../ui/parts.tsx";

const UNUSABLE = isAtAddress
  ? "Passkeys do not work at an IP address. On this machine, open the page at localhost."
  : "This browser cannot use passkeys here.";

export function Passkeys() {
  const [passkeys = []] = useQuery(passkeysQuery).pages;
  const { act, alerts } = useActing();
  return (
    <>
      <div class="title">
        <div>
          <h2>Passkeys</h2>
          <p class="hint">{areUsable ? "Sign in with your finger, face or PIN instead of a password." : UNUSABLE}</p>
        </div>
        {areUsable && (
          <div class="actions">
            <Button class="small" onClick={() => act(askName, "The passkey is added.")}>
              Add a passkey
            </Button>
          </div>
        )}
      </div>
      {alerts}
      {passkeys.length > 0 && (
        <ul class="list">
          {passkeys.map(({ id, name, host, synced, createdAt, lastUsedAt }) => (
            <li key={id} data-testid="passkey-row">
              <div>
                <strong>
                  <Typed>{name}</Typed>
                </strong>
                {synced && <Badge>Synced</Badge>}
                <div class="faint">
                  {host !== location.hostname && (
                    <>
                      For <code>{host}</code> ·{" "}
                    </>
                  )}
                  added <Time at={createdAt} /> ·{" "}
                  {lastUsedAt ? (
                    <>
                      last used <Ago at={lastUsedAt} />
                    </>
                  ) : (
                    "never used"
                  )}
                </div>
              </div>
              <div class="actions">
                <Button
                  class="danger small"
                  aria-label={`Remove the passkey ${name}`}
                  onClick={() => act(() => remove(`/passkeys/${encodeURIComponent(id)}`), "The passkey is removed.")}
                >
                  Remove
                </Button>
              </div>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

const askName = () =>
  ask({
    title: "Add a passkey",
    submit: "Continue",
    onSubmit: (values) => add(values("name")),
    body: (
      <TextField
        name="name"
        label="Name"
        hint="So that you recognise it later. Your browser then asks where to keep the passkey."
        defaultValue={program(navigator.userAgent)}
        maxLength={100}
        required
        {...FOCUS}
      />
    ),
  });
