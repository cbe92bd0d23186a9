// What Linux says of this machine.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

/** Ticks a second of the times in /proc. */
export const CLK_TCK = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** The machine, as the results name it. */
export const machine = () => ({
  processor: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryGib: Math.round(totalmem() / 2 ** 30),
  kernel: readFileSync("/proc/sys/kernel/osrelease", "utf8").trim(),
  node: process.version,
});
