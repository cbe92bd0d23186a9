// Breaks the rules of limits and leases on purpose, one at a time, and shows which tests notice: a rule
// that no test misses is a rule that nobody holds. Prints the table that bench/results/mutants.txt keeps,
// and ends with an error if a mutant lives:
//   npm run mutants                  all of them, some 20 minutes
//   npm run mutants -- "a relay"     those whose rule fits this expression
//   npm run mutants -- --check       only looks whether the code that they change is there; part of `npm run lint`
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { root } from "./lib/places.mjs";

const MUTANTS = [
  {
    rule: "a lease's length counts from before it was asked for, not from its arrival",
    file: "crates/gate/src/pipeline/call.rs",
    from: "lessee.add_lease(grantor, *lease, via.age, asked);",
    to: "lessee.add_lease(grantor, *lease, via.age, now);",
  },
  {
    rule: "what was reserved and never reported counts as used",
    file: "crates/limits/src/coordinator/leases.rs",
    from: "Used { requests: lease.open, latest: lease.latest, is_known: false }",
    to: "Used { requests: 0, latest: lease.latest, is_known: false }",
  },
  {
    rule: "a use counts from its latest arrival: reported ones",
    file: "crates/limits/src/coordinator/leases.rs",
    from: "let latest = now + TRAVEL - report.age;",
    to: "let latest = lease.latest - Span::from_secs(5);",
  },
  {
    rule: "a use counts from its latest arrival: single ones",
    file: "crates/limits/src/coordinator/mod.rs",
    from: "let latest = now + wait + call.within + TRAVEL;",
    to: "let latest = now;",
  },
  {
    rule: "what is reported as given back is used no more",
    file: "crates/limits/src/lease.rs",
    from: "        held.give_up();\n        Some(held.report(now))",
    to: "        Some(LeaseReport { open: 0, ..held.report(now) })",
  },
  {
    rule: "an answer that comes too late lets nothing through",
    file: "crates/gate/src/pipeline/charge.rs",
    from: "let mut passes = !is_late && in_time(Span::ZERO) && delay.timer_ms() <= self.left();",
    to: "let mut passes = delay.timer_ms() <= self.left();",
  },
  {
    rule: "only the reservation whose answer came too late is cancelled",
    file: "crates/limits/src/coordinator/mod.rs",
    from: "call.cancelled_call) } else { call.cancelled };",
    to: "call.cancelled_call) } else { call.cancelled }.or_else(|| call.immediate.then_some(now));",
  },
  {
    rule: "that reservation is cancelled",
    file: "crates/gate/src/pipeline/call.rs",
    from: "Ask::Pass { cancelled, .. } => cancelled,",
    to: "Ask::Pass { cancelled, .. } => cancelled.filter(|_| false),",
  },
  {
    rule: "a reservation that has left its window is not cancelled",
    file: "crates/limits/src/limit.rs",
    from: "if at + window.length() <= now {",
    to: "if at + window.length() < Timestamp::default() {",
  },
  {
    rule: "a lease serves no route whose freshness is shorter than its age",
    file: "crates/limits/src/lease.rs",
    from: "now - held.confirmed < lease_length;",
    to: "now - held.confirmed < lease_length * 10;",
  },
  {
    rule: "nobody gets more than a tenth of a limit beyond what waits",
    file: "crates/limits/src/coordinator/mod.rs",
    from: ".map(|limit| limit / FRACTION_OF_LIMIT);",
    to: ".map(|limit| limit * FRACTION_OF_LIMIT);",
  },
  {
    rule: "counts are kept before the answer goes out",
    file: "crates/limits/src/coordinator/mod.rs",
    from: "let keep = if counts { Keep::Counts } else { Keep::Nothing };",
    to: "let keep = if counts && now.0 % 2 == 0 { Keep::Counts } else { Keep::Nothing };",
  },
  {
    rule: "a request counts for a whole window",
    file: "crates/limits/src/limit.rs",
    from: "bucket.1 + window.length() <= now)",
    to: "bucket.0 + window.length() <= now)",
  },
  {
    rule: "a total that is reported again is not counted again",
    file: "crates/limits/src/coordinator/leases.rs",
    from: "report.used.saturating_sub(lease.used).min(lease.open)",
    to: "report.used.min(lease.open)",
  },
  {
    rule: "a clock that is set back ends leases",
    file: "crates/limits/src/lease.rs",
    from: "        if back > TRAVEL {",
    to: "        if back > Span::MAX {",
  },
  {
    rule: "a decision on an older version is sent back",
    file: "crates/limits/src/coordinator/mod.rs",
    from: "if record.version != call.version {",
    to: "if record.version < call.version {",
  },
  {
    rule: "of what is free, each of many isolates gets a share",
    file: "crates/limits/src/coordinator/leases.rs",
    from: "        u32::try_from(proportional_share).unwrap_or(free)",
    to: "        u32::try_from(proportional_share).unwrap_or(free).max(free)",
  },
  {
    rule: "leases are renewed ahead of need",
    file: "crates/limits/src/lease.rs",
    from: "let renew = (few || late) && !newest.renewed;",
    to: "let renew = few && late && newest.left == 0 && !newest.renewed;",
  },
  {
    rule: "a sublease ends with the lease that it is cut from",
    file: "crates/limits/src/relay/downstream.rs",
    from: "let length = (lease_held.ends - now - RETURN).min(call.lease_length);",
    to: "let length = call.lease_length;",
  },
  {
    rule: "a relay reports as open what its subleases may still use",
    file: "crates/limits/src/relay/upstream.rs",
    from: "let open = lease_held.left.saturating_add(given).saturating_add(singles);",
    to: "let open = lease_held.left.saturating_add(singles.min(given));",
  },
  {
    rule: "a relay answers on a young confirmation only",
    file: "crates/limits/src/relay/downstream.rs",
    from: "(now - self.confirmed) * 2 >= call.lease_length {",
    to: "(now - self.confirmed) >= call.lease_length * 10 {",
  },
  {
    rule: "an answer ends the call that it answers",
    file: "crates/limits/src/lease.rs",
    from: "position(|other| *other == call)",
    to: "position(|other| other.asked == asked)",
  },
  {
    rule: "a relay asks for all requests that wait",
    file: "crates/limits/src/relay/server.rs",
    from: "let requests = call.queued.saturating_add(call.immediate.into());",
    to: "let requests = call.queued.min(1).max(call.immediate.into());",
  },
  {
    rule: "a crowd is sent to relays",
    file: "crates/limits/src/coordinator/leases.rs",
    from: "isolates >= CROWD_ISOLATES && self.calls >= CROWD_CALLS_PER_SECOND",
    to: "isolates >= 100 * CROWD_ISOLATES && self.calls >= CROWD_CALLS_PER_SECOND",
  },
];

const { values, positionals } = parseArgs({ allowPositionals: true, options: { check: { type: "boolean" } } });

const stale = MUTANTS.filter(({ file, from }) => {
  const path = join(root, file);
  return !existsSync(path) || readFileSync(path, "utf8").split(from).length !== 2;
});
for (const { rule, file, from } of stale) console.error(`${rule}\n  ${file} has not exactly once: ${from}`);
if (stale.length) {
  console.error("The code has changed: correct the mutants in scripts/mutants.mjs.");
  process.exit(1);
}
if (values.check) process.exit();

const chosen = MUTANTS.filter(({ rule }) => new RegExp(positionals[0] ?? "").test(rule));
const tree = join(root, "target", "mutants");
const cargo = (...args) =>
  spawnSync("cargo", args, {
    cwd: tree,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: {
      ...process.env,
      // What is of other people is compiled already.
      CARGO_TARGET_DIR: join(root, "target"),
      PROPTEST_CASES: "300",
      PROPTEST_MAX_SHRINK_ITERS: "0",
    },
  });
const PACKAGES = ["keyward-simulation", "keyward-limits", "keyward-gate"];
const TESTS = ["--no-fail-fast", ...PACKAGES.flatMap((name) => ["-p", name]), "--test", "it"];

/** The tests that fail. */
function failed() {
  const { status, stdout, stderr } = cargo("test", ...TESTS);
  const names = [...stdout.matchAll(/^test (\S+) \.\.\. FAILED$/gm)].map(([, name]) => name);
  if (status === 0 || names.length > 0) return names;
  throw new Error(stderr);
}

execFileSync("git", ["worktree", "add", "--force", "--detach", tree, "HEAD"], { cwd: root, stdio: "ignore" });
let living = 0;
try {
  if (failed().length > 0) throw new Error("Without a mutant, all tests have to pass.");
  for (const { rule, file, from, to } of chosen) {
    const path = join(tree, file);
    const text = readFileSync(path, "utf8");
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
    const names = failed();
    writeFileSync(path, text);
    if (names.length === 0) living++;
    console.log(`${rule}\n  ${file}\n  ${names.length ? names.join("\n  ") : "NOBODY NOTICED"}\n`);
  }
} finally {
  execFileSync("git", ["worktree", "remove", "--force", tree], { cwd: root });
  rmSync(tree, { recursive: true, force: true });
}
console.log(`${chosen.length} mutants, ${chosen.length - living} noticed.`);
process.exitCode = living ? 1 : 0;
