// Ports that a test can give up and take again: below those that systems hand out by themselves, so
// that no connection of another test has taken one in between; and above those that policies name.

import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** @type {Set<number>} */
const given = new Set();

/** A port of 127.0.0.1 on which nothing listens, each time another one. */
export async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_768);
    if (given.has(port)) continue;
    given.add(port);
    const free = await new Promise((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
