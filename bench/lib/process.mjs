// A server in a process of its own, whose time is read.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";

import { CLK_TCK } from "./machine.mjs";

/** A port of this machine that nobody listens on. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  return port;
}

/**
 * Whether this process is the one that listens on the port: another may have taken it in the meantime.
 * @param {number | undefined} pid
 * @param {number} port
 */
function listensOn(pid, port) {
  const LISTEN = "0A";
  const address = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const sockets = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(address) && state === LISTEN)
    .map((fields) => `socket:[${fields[9]}]`);
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return sockets.includes(readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      // Closed since it was listed.
      return false;
    }
  });
}

/** @type {Set<ServerProcess>} */
const running = new Set();
process.on("exit", () => {
  for (const one of running) one.kill();
});

/** Stops every server that runs. */
export const stopAll = () => Promise.all([...running].map((server) => server.stop()));

/** The longest that a server may take to its first answer. */
const START_MS = 60_000;

export class ServerProcess {
  /** Milliseconds from its start to its first answer, and of CPU until then. */
  started = { ms: 0, cpuMs: 0 };
  #command;
  #args;
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #child;

  /**
   * @param {string} url where it answers
   * @param {string} command the program itself: of a script around it, the wrong process would be measured
   * @param {string[]} args
   */
  constructor(url, command, args) {
    this.url = url;
    this.#command = command;
    this.#args = args;
  }

  /** Starts the process, again if it runs, and waits for its first answer. */
  async restart() {
    await this.stop();
    const began = performance.now();
    const log = [];
    const child = spawn(this.#command, this.#args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    running.add(this);
    const keep = (/** @type {Buffer} */ chunk) => {
      // Gates log their refusals: what came last is enough.
      log.push(chunk.toString());
      if (log.length > 50) log.shift();
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${this.#command} ended:\n${log.join("")}`);
      try {
        await (await fetch(this.url, { headers: { connection: "close" } })).arrayBuffer();
        break;
      } catch (error) {
        const isOver = performance.now() - began > START_MS;
        if (isOver) throw new Error(`${this.#command} does not answer:\n${log.join("")}`, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    this.started = { ms: performance.now() - began, cpuMs: this.cpu() / 1e3 };
    const port = Number(new URL(this.url).port);
    if (!listensOn(child.pid, port)) throw new Error(`another process than ${this.#command} answers on port ${port}`);
  }

  /** User and system time of the process so far, of all its threads, in microseconds. */
  cpu() {
    const fields = readFileSync(`/proc/${this.#child?.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / CLK_TCK;
  }

  /** Memory that the process has in use, in bytes. */
  memory() {
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  kill() {
    this.#child?.kill("SIGKILL");
  }

  async stop() {
    running.delete(this);
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.kill();
    await ended;
  }
}
