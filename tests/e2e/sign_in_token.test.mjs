// Signing in to the admin API with tokens of an issuer, as docs/admin-api.md describes it: made with another library, sent to the
// built Worker, and the issuer's keys on a real server.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { UnsecuredJWT } from "jose";

import { HEADER, startAccess } from "./access.mjs";
import { OWNER } from "./harness/admin.mjs";

/** @typedef {Awaited<ReturnType<typeof startAccess>>} Access */

const REFUSED = [401, "INVALID_CREDENTIALS"];
const SAME = { "Sec-Fetch-Site": "same-origin" };

describe("beside passwords", () => {
  /** @type {Access} */
  let access;
  before(async () => {
    access = await startAccess("on");
    await access.gate.owner();
  });
  after(() => access?.gate.stop());

  it("a token signs in the member with its address, once, and steps up", async () => {
    const { gate, token, jwks } = access;
    const shown = await token();
    const signedIn = await gate.admin().must("POST", "/session", { token: shown });
    assert.equal(signedIn.member.email, OWNER.email);
    assert.equal(jwks.fetches(), 1);
    await gate.admin().refused(REFUSED, "POST", "/session", { token: shown });
    const owner = gate.admin();
    owner.token = signedIn.token;
    assert.equal((await owner.must("GET", "/session")).steppedUpUntil, null);
    const old = Math.floor(gate.now() / 1000) - 301;
    for (const wrong of [
      shown,
      await token({ iat: old }),
      await token({ auth_time: old }),
      await token({ email: "x@y.z" }),
    ])
      await owner.refused(REFUSED, "POST", "/session/step-up", { token: wrong });
    await owner.must("POST", "/session/step-up", { token: await token() });
    assert.notEqual((await owner.must("GET", "/session")).steppedUpUntil, null);
    await gate.admin().signIn();
  });

  it("the header of the proxy signs in a page of this origin, and nobody whom another site sends", async () => {
    const { gate, token } = access;
    const headers = { [HEADER]: await token() };
    for (const site of [
      {},
      { "Sec-Fetch-Site": "cross-site" },
      { "Sec-Fetch-Site": "same-site" },
      { Origin: "https://evil.example" },
    ])
      await gate.admin().refused([403, "CROSS_SITE"], "POST", "/session", undefined, { ...headers, ...site });
    const answer = await gate.admin().call("POST", "/session", undefined, { ...headers, ...SAME });
    assert.equal(answer.status, 201, answer.text);
    const cookie = answer.header("set-cookie") ?? "";
    assert.match(cookie, /^__Host-keyward-session=kws_.*SameSite=Strict/);
    const step = { ...SAME, [HEADER]: await token(), Cookie: cookie.split(";")[0] };
    assert.equal((await gate.admin().call("POST", "/session/step-up", {}, step)).status, 204);
  });

  it("one that is not in order, or of nobody, is refused in the same words", async () => {
    const { gate, token, forged, claims } = access;
    const now = Math.floor(gate.now() / 1000);
    const wrong = [
      await token({ email: "nobody@example.com" }),
      await token({ iss: "https://evil.cloudflareaccess.com" }),
      await token({ aud: ["another"] }),
      await token({ exp: now - 60 }),
      await token({ nbf: now + 60 }),
      await token({ email_verified: false }),
      await token({ email: undefined }),
      await forged(),
      new UnsecuredJWT(claims()).encode(),
      "made up",
    ];
    const details = new Set();
    for (const shown of wrong) {
      details.add((await gate.admin().refused(REFUSED, "POST", "/session", { token: shown })).json().detail);
      // A header that a client has sent counts no more than its signature.
      await gate.admin().refused(REFUSED, "POST", "/session", undefined, { [HEADER]: shown, ...SAME });
    }
    assert.equal(details.size, 1);
    await gate.allLogged();
    const reasons = gate.logs.filter(({ message }) => message.includes("the token is for another audience"));
    assert.equal(reasons.length, 2, "the log says why");
    assert.ok(!gate.logs.some(({ message }) => message.includes("eyJ")), "and never the token");
    const owner = await gate.admin().signIn();
    const entries = (await owner.must("GET", "/audit?limit=100&action=session.refused")).entries;
    assert.ok(entries.length >= 2 && entries.some(({ actor }) => actor.email === "nobody@example.com"));
    assert.deepEqual(
      (await owner.must("GET", "/members")).members.map(({ email }) => email),
      [OWNER.email],
    );
  });

  it("without the issuer's keys is 503, and a password signs in all the same", async () => {
    const { gate, token, jwks } = access;
    jwks.serve(null);
    await gate.advance(2 * 3_600_000);
    await gate.admin().refused([503, "STORE_UNAVAILABLE"], "POST", "/session", { token: await token() });
    await gate.admin().signIn();
  });
});

describe("in place of passwords", () => {
  /** @type {Access} */
  let access;
  before(async () => {
    access = await startAccess("off");
  });
  after(() => access?.gate.stop());

  it("the first owner is made without one, and all others join with a token of their address", async () => {
    const { gate, token } = access;
    const set = { token: gate.secrets.KEYWARD_SETUP_TOKEN, email: OWNER.email };
    const off = [403, "PASSWORD_OFF"];
    await gate.admin().refused(off, "POST", "/setup", { ...set, password: OWNER.password });
    await gate.admin().must("POST", "/setup", set);
    await gate.admin().refused(off, "POST", "/session", OWNER);
    const owner = gate.admin();
    owner.token = (await owner.must("POST", "/session", { token: await token() })).token;
    await owner.refused(off, "POST", "/session/step-up", { password: OWNER.password });
    const ada = { email: "ada@example.com", role: "admin" };
    await owner.refused(off, "POST", "/members", { ...ada, password: OWNER.password });
    const { token: link } = await owner.must("POST", "/invitations", ada);
    const accept = "/invitations/accept";
    await gate.admin().refused(off, "POST", accept, { token: link, password: OWNER.password });
    await gate.admin().refused(REFUSED, "POST", accept, { token: link, idToken: await token() });
    const header = { ...SAME, [HEADER]: await token({ email: "Ada@example.com" }) };
    const { member } = await gate.admin().must("POST", accept, { token: link }, header);
    assert.deepEqual([member.email, member.role], ["ada@example.com", "admin"]);
    await gate.admin().must("POST", "/session", {}, header);
    await owner.refused(off, "POST", `/members/${member.id}/reset`, {});
    await owner.must("POST", "/members", { email: "eve@example.com", role: "viewer" });
    await gate.admin().must("POST", "/session", { token: await token({ email: "eve@example.com" }) });
  });
});
