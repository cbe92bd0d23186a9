// The admin page in Chromium, against the built Worker: members, their passwords, and where somebody is signed in.
// page.test.mjs is about keys.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { startGate } from "./harness/gate.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, NOT_SIGNED_IN, signedIn, status } from "./page.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;

before(async () => {
  gate = await startGate();
  owner = await gate.owner();
});

after(() => gate?.stop());

test("whoever has just signed in adds a member without typing the password again", async () => {
  await signedIn(gate, "/members", {}, async (page) => {
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Add member" }).click();
    await dialog.getByLabel("E-mail address").fill("at.once@example.com");
    await dialog.getByLabel("First password").fill("a long first password");
    await dialog.getByRole("button", { name: "Add member" }).click();
    await page.getByTestId("member-row").filter({ hasText: "at.once@example.com" }).waitFor();
  });
});

test("an owner types the password once more, then adds, changes and removes a member", async () => {
  await signedIn(gate, "/members", { expectedErrors: [status(403)] }, async (page) => {
    await gate.advance(5 * 60_000);
    const email = "new@example.com";
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Add member" }).click();
    await dialog.getByLabel("E-mail address").fill(email);
    await dialog.getByLabel("First password").fill("a long first password");
    await dialog.getByRole("button", { name: "Add member" }).click();
    const stepUp = page.getByRole("dialog", { name: "Confirm with your password" });
    await stepUp.getByLabel("Password").fill("not the password");
    await stepUp.getByRole("button", { name: "Confirm" }).click();
    await stepUp.getByText("The password is wrong").waitFor();
    await stepUp.getByLabel("Password").fill(OWNER.password);
    await stepUp.getByRole("button", { name: "Confirm" }).click();
    const row = page.getByTestId("member-row").filter({ hasText: email });
    await row.getByText("viewer").waitFor();
    await row.getByRole("button", { name: "Change role" }).click();
    await dialog.getByLabel("Role").selectOption("admin");
    await dialog.getByRole("button", { name: "Change role" }).click();
    await row.getByText("admin").waitFor();
    await row.getByRole("button", { name: "Remove" }).click();
    await dialog.getByRole("button", { name: "Remove" }).click();
    await row.waitFor({ state: "detached" });

    await page.getByRole("link", { name: "Audit" }).click();
    await page.getByRole("button", { name: "Verify the chain" }).click();
    await page.getByText("The chain is whole").waitFor();
    assert.match(await page.locator("body").innerText(), /owner@example\.com removed /);
  });
});

test("somebody sees where they are signed in, and ends one session and then all others", async () => {
  const [first, second] = [await gate.admin().signIn(), await gate.admin().signIn()];
  await signedIn(gate, "/keys", {}, async (page) => {
    await page.getByTitle(`${OWNER.email}: your account`).click();
    await heading(page, "Settings");
    const rows = page.getByTestId("session-row");
    await rows.filter({ hasText: "This one" }).waitFor();
    const { sessions } = await second.must("GET", "/sessions");
    assert.equal(await rows.count(), sessions.length);
    await rows.nth(1).getByRole("button", { name: /^End/ }).click();
    await waitFor("the end of the second", async () => (await second.call("GET", "/session")).status === 401);
    await page.getByRole("button", { name: "End all others" }).click();
    await waitFor("one to be left", async () => (await rows.count()) === 1);
    assert.equal((await first.call("GET", "/session")).status, 401);
    await page.getByRole("link", { name: "Keys" }).click();
    await heading(page, "Keys");
  });
  await owner.signIn();
  await owner.stepUp();
});

test("somebody changes their password, and an owner ends a member's sessions", async () => {
  const person = { email: "changes@example.com", password: "a password for a while" };
  const { member } = await owner.must("POST", "/members", { role: "viewer", ...person });
  const other = await gate.admin().signIn(person);
  const changed = { ...person, password: "another one from then on" };
  await signedIn(gate, "/settings", { person, expectedErrors: [status(401)] }, async (page) => {
    await heading(page, "Settings");
    const change = async (present) => {
      await page.getByLabel("Present password").fill(present);
      await page.getByLabel("New password").fill(changed.password);
      await page.getByRole("dialog").getByRole("button", { name: "Change password" }).click();
    };
    await page.getByRole("button", { name: "Change password" }).click();
    await change("wrong wrong wrong");
    await page.getByText("The present password is wrong.").waitFor();
    await change(person.password);
    await page.getByText("The password is changed.").waitFor();
    await waitFor("one to be left", async () => (await page.getByTestId("session-row").count()) === 1);
  });
  await other.refused([401, "UNAUTHENTICATED"], "GET", "/session");
  const again = await gate.admin().signIn(changed);
  await signedIn(gate, "/members", {}, async (page) => {
    await page.getByRole("link", { name: `Sessions of ${member.email}` }).click();
    await heading(page, `Sessions of ${member.email}`);
    assert.equal(await page.getByTestId("session-row").count(), 2);
    await page.getByRole("button", { name: "End all" }).click();
    await page.getByText("Not signed in anywhere.").waitFor();
  });
  await again.refused([401, "UNAUTHENTICATED"], "GET", "/session");
});

test("somebody who was invited opens the link, chooses a password, and is in; its token is not in the address", async () => {
  const email = "invited@example.com";
  const link = await signedIn(gate, "/members", {}, async (page) => {
    await page.getByRole("button", { name: "Invite" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("E-mail address").fill(email);
    await dialog.getByLabel("Role").selectOption("admin");
    await dialog.getByRole("button", { name: "Make the link" }).click();
    const text = await page.getByTestId("new-link").innerText();
    await page.getByRole("button", { name: "I have saved it" }).click();
    await heading(page, "People");
    return text;
  });
  await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page) => {
    await page.goto(link);
    await heading(page, "Join Keyward");
    assert.doesNotMatch(page.url(), /kwi_/);
    await page.getByLabel("Password").fill("a password of my own");
    await page.getByRole("button", { name: "Set the password" }).click();
    await heading(page, "Overview");
    // Once: now it says so.
    await page.goto("about:blank");
    await page.goto(link);
    await page.getByLabel("Password").fill("a password of my own");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("The link does not work (any more)").waitFor();
  });
});

test("an owner makes a link with which somebody sets a new password", async () => {
  const person = { email: "forgetful@example.com", password: "the password I forget" };
  await owner.must("POST", "/members", { role: "viewer", ...person });
  const link = await signedIn(gate, "/members", {}, async (page) => {
    await page.getByRole("button", { name: `New password for ${person.email}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Make the link" }).click();
    const text = await page.getByTestId("new-link").innerText();
    await page.getByRole("button", { name: "I have saved it" }).click();
    return text;
  });
  await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page) => {
    await page.goto(link);
    await heading(page, "Set a new password");
    await page.getByLabel("Password").fill("one that I remember");
    await page.getByRole("button", { name: "Set the password" }).click();
    await heading(page, "Overview");
  });
  await gate.admin().signIn({ ...person, password: "one that I remember" });
});
