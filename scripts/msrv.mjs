// Builds everything with the oldest Rust that Cargo.toml names (`rust-version`), in a folder of its own:
//   npm run msrv
// rustup installs that Rust if it is not there.

import { spawnSync } from "node:child_process";

import { root } from "./lib/places.mjs";
import { Failure, oldestRust, runMain } from "./lib/progress.mjs";

const TARGET = "wasm32-unknown-unknown";

/**
 * Runs a program with its output on the terminal.
 * @param {string} command
 * @param {string[]} args
 * @param {string} hint
 */
function must(command, args, hint) {
  console.log(`$ ${command} ${args.join(" ")}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) throw new Failure(`${command} ended with ${error?.message ?? status}`, hint);
}

await runMain(() => {
  const rust = oldestRust();
  must(
    "rustup",
    ["toolchain", "install", rust, "--profile", "minimal", "--target", TARGET],
    "Is the network reachable?",
  );
  const check = [`+${rust}`, "check", "--locked", "--target-dir", "target/msrv"];
  const hint = `Something needs a newer Rust than ${rust}: take an older version of it, or raise rust-version in Cargo.toml and tools/Cargo.toml.`;
  must("cargo", [...check, "--workspace"], hint);
  must("cargo", [...check, "--package", "keyward", "--target", TARGET], hint);
  must("cargo", [...check, "--manifest-path", "tools/Cargo.toml"], hint);
});
