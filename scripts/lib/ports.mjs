// Ports of this machine.

import { connect, createServer } from "node:net";

import { codeOf, Failure } from "./progress.mjs";

const HOST = "127.0.0.1";

/** Why nothing can listen on this port: an error code; or undefined, if something can. */
async function obstacle(port) {
  // Some systems let two listen, on one address and on all of them, so see whether anybody answers.
  const answers = await new Promise((resolve) => {
    const socket = connect(port, HOST, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
  if (answers) return "EADDRINUSE";
  return new Promise((resolve) => {
    const server = createServer().on("error", (error) => resolve(codeOf(error)));
    server.listen(port, HOST, () => server.close(() => resolve(undefined)));
  });
}

/** Fails if nothing can listen on this port; `command` takes another one after it. */
export async function refuseBusyPort(port, command) {
  const code = await obstacle(port);
  if (!code) return;
  let other = Math.max(port, 1_023) + 1;
  while (other < 65_535 && (await obstacle(other))) other += 1;
  const why = code === "EADDRINUSE" ? "is in use" : `cannot be listened on (${code})`;
  throw new Failure(
    `port ${port} of ${HOST} ${why}`,
    `${code === "EADDRINUSE" ? "Stop what listens there, or choose another" : "Choose another"}: ${command} ${other}`,
  );
}
