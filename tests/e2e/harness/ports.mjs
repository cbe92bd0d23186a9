// Ports that a test can give up and take again: below those that systems hand out by themselves, so that no connection
// of another test has taken one in between.

import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/**
 * Makes a port of 127.0.0.1 this process's own among the tests, by its UDP port, which nobody listens on otherwise: the system
 * gives it to one process, and takes it back when that ends.
 * @param {number} port
 * @returns {Promise<boolean>}
 */
export const claim = (port) =>
  new Promise((resolve) => {
    const socket = createSocket("udp4")
      .once("error", () => resolve(false))
      .bind({ port, address: "127.0.0.1", exclusive: true }, () => resolve(true));
    socket.unref();
  });

/** @type {(port: number) => Promise<boolean>} */
const isFree = (port) =>
  new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/** A port of 127.0.0.1 on which nothing listens, each time another one, also in tests that run at the same time. */
export async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_768);
    if ((await claim(port)) && (await isFree(port))) return port;
  }
}

/**
 * What `start` makes of a free port; or of another one, if a program that is no test has taken it meanwhile.
 * @template Result
 * @param {(port: number) => Promise<Result>} start
 */
export async function onFreePort(start) {
  for (;;) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
}

/**
 * Whether a server, of Node's or of miniflare's, could not have its port.
 * @param {unknown} error
 */
export const isTaken = (error) =>
  error instanceof Error && "code" in error && ["EADDRINUSE", "ERR_ADDRESS_IN_USE"].includes(String(error.code));
