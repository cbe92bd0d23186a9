// Sign-in by OpenID Connect's authorization code flow, call by call, as docs/admin-api.md describes it: with a real provider, in
// Chromium as far as its page goes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { startOpenId } from "./openid.mjs";

/** @typedef {Awaited<ReturnType<typeof startOpenId>>} OpenId */
/** @import { Page } from "playwright-core" */
/** @import { Answer } from "./harness/http.mjs" */

const TLS = { ignoreHTTPSErrors: true, expectedErrors: [/./] };

/** @type {OpenId} */
let openId;
before(async () => {
  openId = await startOpenId();
  await openId.gate.owner();
});
after(() => openId?.stop());

/** @param {Answer} answer */
const refusal = (answer) => [answer.status, answer.json().code];
const REFUSED = [401, "INVALID_CREDENTIALS"];

/**
 * What a person comes back with.
 * @param {(page: Page) => Promise<void>} work
 */
const inBrowser = (work) => withPage(TLS, work);

/** Somebody who was sent to the provider, with `change` done to where. */
async function comesBack(email = OWNER.email, { purpose = "sign-in", change = (/** @type {URL} */ _) => {} } = {}) {
  const { url, cookie } = await openId.begin(purpose);
  change(url);
  let shown;
  await inBrowser(async (page) => {
    shown = await openId.codeFor(page, url, email);
  });
  return { shown, cookie };
}

test("a code signs in once, in the browser that has begun, from this origin, and its cookie goes", async () => {
  const { gate, show, begin } = openId;
  const { shown, cookie } = await comesBack();
  const other = await begin();
  assert.deepEqual(refusal(await show("/session", shown, other.cookie)), REFUSED);
  assert.deepEqual(refusal(await gate.admin().call("POST", "/session", shown, { Origin: gate.url })), REFUSED);
  const foreign = await gate.admin().call("POST", "/session", shown, { Cookie: cookie });
  assert.deepEqual(refusal(foreign), [403, "CROSS_SITE"]);

  const answer = await show("/session", shown, cookie);
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json().member.email, OWNER.email);
  const set = answer.all("set-cookie");
  assert.equal(set.length, 2);
  assert.ok(set.some((value) => value.startsWith("__Host-keyward-code=;") && value.includes("Max-Age=0")));
  assert.deepEqual(refusal(await show("/session", shown, cookie)), REFUSED, "it was used");
  assert.equal(gate.logs.filter(({ message }) => message.includes(`${shown.code}`)).length, 0);
});

test("a token with another nonce, or a code with another challenge, signs nobody in", async () => {
  const { gate, show } = openId;
  for (const [name, why] of [
    ["nonce", "claim nonce is not valid"],
    ["code_challenge", "the issuer refused the code"],
  ]) {
    const change = (/** @type {URL} */ url) => url.searchParams.set(name, "a".repeat(43));
    const { shown, cookie } = await comesBack(OWNER.email, { change });
    assert.deepEqual(refusal(await show("/session", shown, cookie)), REFUSED, name);
    await gate.logged(why);
  }
});

test("while the issuer fails the answer is 503, and the same code signs in once it is back", async () => {
  const { show, fail, gate } = openId;
  const { shown, cookie } = await comesBack();
  fail(true);
  const answer = await show("/session", shown, cookie);
  assert.deepEqual(refusal(answer), [503, "STORE_UNAVAILABLE"]);
  assert.match(answer.json().detail, /its issuer does not answer as it should/);
  assert.deepEqual(answer.all("set-cookie"), []);
  await gate.logged("issuer_unavailable", "answered 503");
  fail(false);
  assert.equal((await show("/session", shown, cookie)).status, 201);
});

test("only the same person, whom the issuer has just asked, steps up", async () => {
  const { gate, show } = openId;
  const owner = await gate.admin().signIn();
  const key = (await owner.createKey({})).apiKey.id;
  const revoke = () => owner.call("POST", `/api-keys/${key}/revoke`, {});
  assert.deepEqual(refusal(await revoke()), [403, "STEP_UP_REQUIRED"]);
  const stepUp = async (/** @type {Awaited<ReturnType<typeof comesBack>>} */ { shown, cookie }) =>
    show("/session/step-up", shown, cookie, owner);
  // Without `max_age` this issuer says nothing of when it has asked.
  assert.deepEqual(refusal(await stepUp(await comesBack())), REFUSED);
  await gate.logged("lacks the claim auth_time");
  const eve = await comesBack("eve@example.com", { purpose: "step-up" });
  assert.deepEqual(refusal(await stepUp(eve)), REFUSED);
  assert.equal((await revoke()).status, 403);
  const own = await stepUp(await comesBack(OWNER.email, { purpose: "step-up" }));
  assert.equal(own.status, 204, own.text);
  assert.equal((await revoke()).status, 200);
});

test("an invited person joins with a code, and nobody else by it", async () => {
  const { gate, show } = openId;
  const owner = await gate.admin().signIn();
  await owner.stepUp();
  const { tenant } = await owner.must("POST", "/tenants", {
    name: "Shop",
    owner: { email: "owner@shop.example", password: OWNER.password },
  });
  assert.ok(tenant.id);
  const shop = await gate.admin().signIn({ email: "owner@shop.example", password: OWNER.password });
  const ada = { email: "ada@example.com", role: "viewer" };
  await shop.refused([403, "FORBIDDEN"], "POST", "/members", { ...ada, password: OWNER.password });
  const { token } = await shop.must("POST", "/invitations", ada);
  const accept = "/invitations/accept";
  await gate.admin().refused([403, "FORBIDDEN"], "POST", accept, { token, password: OWNER.password });
  const eve = await comesBack("eve@example.com");
  assert.deepEqual(refusal(await show(accept, { token, ...eve.shown }, eve.cookie)), REFUSED);
  const own = await comesBack("ada@example.com");
  const joined = await show(accept, { token, ...own.shown }, own.cookie);
  assert.equal(joined.status, 201, joined.text);
});

test("a public client needs no secret", async () => {
  const open = await startOpenId({ password: "off", hasSecret: false });
  try {
    await open.gate
      .admin()
      .must("POST", "/setup", { token: open.gate.secrets.KEYWARD_SETUP_TOKEN, email: OWNER.email });
    await inBrowser(async (page) => {
      const { url, cookie } = await open.begin();
      const answer = await open.show("/session", await open.codeFor(page, url, OWNER.email), cookie);
      assert.equal(answer.status, 201, answer.text);
    });
  } finally {
    await open.stop();
  }
});
