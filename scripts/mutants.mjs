// Breaks the rules of limits and leases on purpose, one at a time, and shows which tests notice: a rule
// that no test misses is a rule that nobody holds. Prints the table that bench/results/mutants.txt keeps,
// and ends with an error if a mutant lives:
//   npm run mutants                  all of them, some 20 minutes
//   npm run mutants -- "a relay"     those whose rule fits this expression
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "./lib/places.mjs";

const MUTANTS = [
  {
    rule: "a lease's life counts from before it was asked for, not from its arrival",
    file: "crates/gate/src/pipeline/call.rs",
    from: "lessee.add_lease(grantor, *lease, via.age_ms, asked);",
    to: "lessee.add_lease(grantor, *lease, via.age_ms, now);",
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
    from: "let latest = now.plus(i64::from(TRAVEL_MS) - i64::from(report.age_ms));",
    to: "let latest = lease.latest.plus(-5_000);",
  },
  {
    rule: "a use counts from its latest arrival: single ones",
    file: "crates/limits/src/coordinator/mod.rs",
    from: "let latest = now.plus(wait + i64::from(take.within_ms) + i64::from(TRAVEL_MS));",
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
    from: "let mut passes = !is_late && in_time(0) && delay_ms <= self.left();",
    to: "let mut passes = delay_ms <= self.left();",
  },
  {
    rule: "only the place whose answer came too late is given back",
    file: "crates/limits/src/coordinator/mod.rs",
    from: "take.cancelled_call) } else { take.cancelled };",
    to: "take.cancelled_call) } else { take.cancelled }.or_else(|| take.immediate.then_some(now));",
  },
  {
    rule: "that place is given back",
    file: "crates/gate/src/pipeline/call.rs",
    from: "Ask::Pass { cancelled, .. } => cancelled,",
    to: "Ask::Pass { cancelled, .. } => cancelled.filter(|_| false),",
  },
  {
    rule: "a place that has left its window is not given back again",
    file: "crates/limits/src/limit.rs",
    from: "if at.plus(window.length()) <= now {",
    to: "if at.plus(window.length()) < Timestamp::default() {",
  },
  {
    rule: "a lease serves no route whose freshness is shorter than its age",
    file: "crates/limits/src/lease.rs",
    from: "now.0 - held.confirmed.0 < i64::from(lease_length_ms);",
    to: "now.0 - held.confirmed.0 < 10 * i64::from(lease_length_ms);",
  },
  {
    rule: "nobody gets more than a tenth of a limit that he may not use",
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
    rule: "a place is taken for a whole window",
    file: "crates/limits/src/limit.rs",
    from: "bucket.1.plus(window.length()) <= now)",
    to: "bucket.0.plus(window.length()) <= now)",
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
    from: "        if back > i64::from(TRAVEL_MS) {",
    to: "        if back > i64::from(u32::MAX) {",
  },
  {
    rule: "a decision on an older version is sent back",
    file: "crates/limits/src/coordinator/mod.rs",
    from: "if record.version != take.version {",
    to: "if record.version < take.version {",
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
    rule: "a part of a relay's lease ends with it",
    file: "crates/limits/src/relay/mod.rs",
    from: "let life = (lease_held.ends.0 - now.0 - RETURN_MS).min(take.lease_length_ms.into());",
    to: "let life = i64::from(take.lease_length_ms);",
  },
  {
    rule: "a relay reports as open what its parts may still use",
    file: "crates/limits/src/relay/mod.rs",
    from: "let open = lease_held.left.saturating_add(given).saturating_add(singles);",
    to: "let open = lease_held.left.saturating_add(singles.min(given));",
  },
  {
    rule: "an isolate is told by a relay how old its word is",
    file: "crates/limits/src/relay/mod.rs",
    from: "(now.0 - self.confirmed.0) * 2 >= i64::from(take.lease_length_ms) {",
    to: "(now.0 - self.confirmed.0) >= 10 * i64::from(take.lease_length_ms) {",
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
    from: "let requests = take.queued.saturating_add(take.immediate.into());",
    to: "let requests = take.queued.min(1).max(take.immediate.into());",
  },
  {
    rule: "a crowd is sent to relays",
    file: "crates/limits/src/coordinator/leases.rs",
    from: "isolates >= CROWD_ISOLATES && self.calls >= CROWD_CALLS_PER_S",
    to: "isolates >= 100 * CROWD_ISOLATES && self.calls >= CROWD_CALLS_PER_S",
  },
];

const chosen = MUTANTS.filter(({ rule }) => new RegExp(process.argv[2] ?? "").test(rule));
const tree = join(root, "target", "mutants");
const cargo = (...args) =>
  spawnSync("cargo", args, {
    cwd: tree,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: {
      ...process.env,
      CARGO_TARGET_DIR: join(root, "target", "mutants-build"),
      PROPTEST_CASES: "300",
      PROPTEST_MAX_SHRINK_ITERS: "0",
    },
  });
const PACKAGES = ["keyward-simulation", "keyward-limits", "keyward-gate"];
const TESTS = [
  "--no-fail-fast",
  ...PACKAGES.flatMap((name) => ["-p", name]),
  ...["leases", "it"].flatMap((name) => ["--test", name]),
];

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
    if (text.split(from).length !== 2) throw new Error(`${file} has not exactly once: ${from}`);
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
