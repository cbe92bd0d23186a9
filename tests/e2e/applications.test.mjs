// Real applications behind the gate, their origin named by a URL: what they say of themselves leads back to the gate,
// and what they save a client works through it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";

import { FileStore } from "@tus/file-store";
import { Server as TusServer } from "@tus/server";
import compression from "compression";
import express from "express";
import { Upload } from "tus-js-client";

import { startGate } from "./harness/gate.mjs";
import { originPort } from "./harness/policies.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const PORT = originPort(18185); // of the realm "applications"

/** @type {Gate} */
let gate;
/** @type {string} */
let key;
let server, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyward-app-"));
  gate = await startGate({ policy: "e2e" });
  const admin = gate.admin();
  admin.api = "/console/api";
  await admin.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
  ({ plaintextKey: key } = await admin.createKey({ realm: "applications", scopes: ["things:read"] }));
});
after(async () => {
  await gate?.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(handler) {
  server = createServer(handler).listen(PORT, "127.0.0.1");
  await once(server, "listening");
}

const ask = (target, headers = {}, host = "applications.test") =>
  gate.send({ host, target, headers: { Authorization: `Bearer ${key}`, ...headers } });

describe("Express", () => {
  it("answers 304 to who has the answer already", async () => {
    await serve(express().get("/keyed/page", (_request, response) => response.send("the same each time")));
    const first = await ask("/keyed/page");
    assert.equal(first.status, 200);
    const again = await ask("/keyed/page", { "If-None-Match": first.header("etag") });
    assert.deepEqual([again.status, again.text], [304, ""]);
  });

  it("sends a part of a file that it could compress, also where Cloudflare asks for other encodings than the client", async () => {
    writeFileSync(join(folder, "text.txt"), "0123456789".repeat(1000));
    await serve(
      express()
        .use(compression({ threshold: 0 }))
        .use("/keyed", express.static(folder)),
    );
    const part = await ask("/keyed/text.txt", {
      Range: "bytes=2-5",
      "Accept-Encoding": "br, gzip",
      "MF-CF-Blob": JSON.stringify({ clientAcceptEncoding: "identity" }),
    });
    assert.deepEqual([part.status, part.text, part.header("content-range")], [206, "2345", "bytes 2-5/10000"]);
    const whole = await ask("/keyed/text.txt", { "Accept-Encoding": "gzip" });
    assert.deepEqual([whole.status, whole.header("content-encoding")], [200, "gzip"]);
  });

  for (const trust of [true, false]) {
    it(`redirects to the gate, ${trust ? "told to trust it" : "as it comes"}`, async () => {
      const app = express().set("trust proxy", trust);
      app.use((request, response, next) => {
        if (request.path.endsWith("/")) return next();
        return response.redirect(
          308,
          `${request.protocol}://${trust ? request.host : request.get("host")}${request.path}/`,
        );
      });
      await serve(app);
      const answer = await gate.send({
        host: "applications.test:8443",
        target: "/keyed/list",
        tls: "TLSv1.3",
        headers: { Authorization: `Bearer ${key}` },
      });
      assert.deepEqual([answer.status, answer.header("location")], [308, "https://applications.test:8443/keyed/list/"]);
    });
  }
});

describe("a resumable upload (tus)", () => {
  for (const respectForwardedHeaders of [true, false]) {
    it(`goes through the gate to its end, ${respectForwardedHeaders ? "told to trust it" : "as it comes"}`, async () => {
      const tus = new TusServer({
        path: "/keyed/files",
        datastore: new FileStore({ directory: folder }),
        respectForwardedHeaders,
      });
      const seen = [];
      await serve((request, response) => {
        seen.push([request.method, request.headers["keyward-key-id"] !== undefined, request.headers.authorization]);
        return tus.handle(request, response);
      });
      const body = Buffer.alloc(300_000, "tus");
      const upload = await new Promise((resolve, reject) => {
        const one = new Upload(body, {
          endpoint: `${gate.url}/keyed/files`,
          chunkSize: 100_000,
          retryDelays: null,
          headers: { Authorization: `Bearer ${key}` },
          onSuccess: () => resolve(one),
          onError: reject,
        });
        one.start();
      });
      assert.ok(upload.url.startsWith(`${gate.url}/keyed/files/`), upload.url);
      assert.deepEqual(seen, [["POST", true, undefined], ...new Array(3).fill(["PATCH", true, undefined])]);
    });
  }
});
