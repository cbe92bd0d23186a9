// A bare Worker in the runtime, without the gate: to ask what the runtime itself does.

import { Miniflare } from "miniflare";

import { compatibility } from "./workers.mjs";

/**
 * Starts a Worker.
 * @param {string} source its module
 */
export async function startWorker(source) {
  const miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: "bare",
          ...compatibility,
          manifest: { mainModule: "worker.mjs", modules: { "worker.mjs": { type: "esm", contents: source } } },
        },
        dev: { unsafeRegisterWorker: false },
      },
    ],
    host: "127.0.0.1",
    port: 0,
    cf: false,
    enableDevRegistry: false,
  });
  return { url: (await miniflare.ready).href, stop: () => miniflare.dispose() };
}
