// What runs on GitHub: it names what is there, others' actions by their commit, and no more rights than it needs.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, test } from "node:test";

import { parse } from "yaml";

import { notices } from "../../scripts/lib/notices.mjs";
import { root } from "../../scripts/lib/places.mjs";
import { notesOf, version } from "../../scripts/lib/version.mjs";

const read = (path) => readFileSync(join(root, path), "utf8");
const yaml = (path) => parse(read(path), { strict: true, uniqueKeys: true });
const filesIn = (folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`);

const workflows = Object.fromEntries(filesIn(".github/workflows").map((path) => [path, yaml(path)]));
const actions = Object.fromEntries(
  filesIn(".github/actions").map((folder) => [`${folder}/action.yml`, yaml(`${folder}/action.yml`)]),
);
const jobs = Object.entries(workflows).flatMap(([path, { jobs }]) =>
  Object.entries(jobs).map(([name, job]) => ({ name: `${path}, ${name}`, job })),
);
const steps = [
  ...jobs.map(({ name, job }) => ({ name, steps: job.steps ?? [{ uses: job.uses }] })),
  ...Object.entries(actions).map(([name, { runs }]) => ({ name, steps: runs.steps })),
].flatMap(({ name, steps }) => steps.map((step) => ({ name, ...step })));

const { scripts } = JSON.parse(read("package.json"));
/** What GitHub's machines have. */
const PROGRAMS = ["gh", "rustup", "sha256sum"];
/** The parts of `.ci/run`. */
const PARTS = Array.from(read(".ci/run").matchAll(/^(\w+)\(\) \{$/gm), ([, part]) => part);

/** Fails unless a line of a `run:` names what is there. */
function namesWhatIsThere(line) {
  const [program, ...args] = line.trim().split(/\s+/);
  const hint = `in "${line}"`;
  if (program === "npm") {
    const script = args[0] === "run" ? args[1] : args[0];
    assert.ok(scripts[script], `package.json has no script ${script}, ${hint}`);
  } else if (program === "node") {
    assert.ok(existsSync(join(root, args[0])), `there is no ${args[0]}, ${hint}`);
  } else if (program === ".ci/run") {
    accessSync(join(root, program), constants.X_OK);
    for (const part of args) assert.ok(PARTS.includes(part), `.ci/run has no part ${part}, ${hint}`);
  } else {
    assert.ok(PROGRAMS.includes(program), `neither a script nor a program that is known here: ${program}, ${hint}`);
  }
}

test("each command names a script, a part of .ci/run or a file that is there", () => {
  const commands = steps.filter(({ run }) => run).flatMap(({ run }) => run.trim().split("\n"));
  assert.ok(commands.length >= 10, commands.join("\n"));
  for (const line of commands) namesWhatIsThere(line);
  for (const rotten of ["npm run no-such-script", "node scripts/none.mjs", ".ci/run none", "make"])
    assert.throws(() => namesWhatIsThere(rotten), assert.AssertionError);
});

test("CI runs every part of .ci/run, each as a job of its own", () => {
  const commands = Object.values(workflows[".github/workflows/ci.yml"].jobs).map(({ steps }) =>
    steps.flatMap(({ run }) => run ?? []),
  );
  assert.equal(PARTS.length, 5, PARTS.join(", "));
  for (const part of PARTS) assert.equal(commands.filter((own) => own.includes(`.ci/run ${part}`)).length, 1, part);
});

test("others' actions are named by their commit and its version, our own are there", () => {
  const used = steps.flatMap(({ uses }) => uses ?? []);
  for (const uses of used.filter((uses) => uses.startsWith("$/"))) {
    const path = uses.slice("$/".length);
    assert.ok(workflows[path] ?? actions[`${path}/action.yml`], uses);
  }
  const foreign = [...Object.keys(workflows), ...Object.keys(actions)].flatMap((path) =>
    read(path)
      .split("\n")
      .filter((line) => /^\s*(- )?uses: [^$]/.test(line)),
  );
  assert.equal(foreign.length, used.filter((uses) => !uses.startsWith("$/")).length);
  for (const line of foreign) assert.match(line, /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});

describe("rights and bounds", () => {
  it("a workflow has no rights by itself, and says what happens when two run at once", () => {
    for (const [path, { permissions, concurrency }] of Object.entries(workflows)) {
      assert.deepEqual(permissions, {}, path);
      assert.ok(concurrency.group, path);
    }
  });

  it("a job may read the code; only the one that publishes, which has none of it, may write", () => {
    for (const { name, job } of jobs) {
      if (Object.values(job.permissions).includes("write")) {
        assert.equal(name, ".github/workflows/release.yml, publish");
        assert.ok(!job.steps.some(({ uses }) => uses?.startsWith("actions/checkout")), name);
      } else {
        assert.deepEqual(job.permissions, { contents: "read" }, name);
      }
    }
  });

  it("a job that runs steps ends after some minutes, and no checkout leaves its token behind", () => {
    for (const { name, job } of jobs.filter(({ job }) => job.steps))
      assert.ok(job["timeout-minutes"] > 0 && job["timeout-minutes"] <= 90, name);
    for (const { name, uses, with: given } of steps)
      if (uses?.startsWith("actions/checkout@")) assert.equal(given["persist-credentials"], false, name);
  });

  it("no event puts text of strangers into a command", () => {
    for (const { name, run } of steps) assert.doesNotMatch(run ?? "", /\$\{\{/, name);
    for (const [path, { on }] of Object.entries(workflows)) assert.ok(!("pull_request_target" in on), path);
  });
});

test("a release waits for CI, then is built without what other runs have kept, and published", () => {
  const { ci, build, publish } = workflows[".github/workflows/release.yml"].jobs;
  assert.equal(ci.uses, "$/.github/workflows/ci.yml");
  assert.deepEqual([build.needs, publish.needs], ["ci", "build"]);
  assert.equal(build.steps.find(({ uses }) => uses?.startsWith("$/")).with, undefined);
});

describe("the notes of a release", () => {
  const CHANGELOG =
    "# Changelog\n\n## Unreleased\n\n## 1.2.0 - 2026-01-02\n\n### Added\n- One.\n\n## 1.1.0 - 2025-01-02\n- Two.\n";

  it("are the section of its version, without the heading", () => {
    assert.equal(notesOf(CHANGELOG, "1.2.0"), "### Added\n- One.");
    assert.equal(notesOf(CHANGELOG, "1.1.0"), "- Two.");
  });

  it("are refused for a version of which nothing is said", () => {
    for (const wanted of ["1.2", "1.3.0", "Unreleased"])
      assert.throws(() => notesOf(CHANGELOG, wanted), { message: `CHANGELOG.md says nothing of ${wanted}` });
  });

  it("are refused for a tag that is not the version of the files, on which all agree", () => {
    const { status, stderr } = spawnSync(process.execPath, ["scripts/release_notes.mjs", "v99.0.0"], {
      cwd: root,
      encoding: "utf8",
    });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`error: the tag v99\\.0\\.0 is not v${version().replaceAll(".", "\\.")}, which`));
  });
});

test("a release has the licences of all that is compiled into it, and of nothing that only tests use", async () => {
  // A text is below those that it is of.
  const named = new Set(Array.from((await notices()).matchAll(/^(\S+) \d\S* \(.+\)$/gm), ([, name]) => name));
  for (const name of ["worker", "wasm-bindgen", "serde_json", "toml", "preact"]) assert.ok(named.has(name), name);
  for (const name of ["proptest", "rusqlite", "keyward"]) assert.ok(!named.has(name), name);
});

describe("what one is asked for on GitHub", () => {
  it("each form asks for something, and a vulnerability is reported in private", () => {
    const forms = filesIn(".github/ISSUE_TEMPLATE").filter((path) => !path.endsWith("config.yml"));
    assert.equal(forms.length, 2, forms.join(", "));
    for (const form of forms) {
      const { name, description, body } = yaml(form);
      assert.ok(name && description, form);
      assert.ok(
        body.some(({ validations }) => validations?.required === true),
        form,
      );
    }
    const config = yaml(".github/ISSUE_TEMPLATE/config.yml");
    // No blank issue, and nothing that whoever has the repository would have to fill in: GitHub itself leads to SECURITY.md.
    assert.deepEqual(config, { blank_issues_enabled: false });
    assert.match(readFileSync(join(root, "SECURITY.md"), "utf8"), /Report a vulnerability/);
  });
});
