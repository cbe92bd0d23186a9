// What is remembered of the names of fields, which clients and origins choose.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { LONGEST_NAME, MOST_NAMES, remembering, removing } from "../../src/field_names.js";

describe("what was found of a field's name", () => {
  it("is remembered, but of no more names than fit, and of no long ones", () => {
    let judged = 0;
    const isRemoved = remembering((name) => {
      judged += 1;
      return name.endsWith("7");
    });
    const costOf = (name) => {
      const before = judged;
      assert.equal(isRemoved(name), name.endsWith("7"));
      return judged - before;
    };
    const names = Array.from({ length: MOST_NAMES }, (_, i) => `x-${i}`);
    const costOfAll = () => names.reduce((sum, name) => sum + costOf(name), 0);
    assert.deepEqual([costOfAll(), costOfAll()], [MOST_NAMES, 0]);
    const longest = "x".repeat(LONGEST_NAME);
    assert.deepEqual([costOf(longest), costOf(longest), costOf(names[0])], [1, 0, 1], "all others were forgotten");
    assert.deepEqual([costOf(`${longest}x`), costOf(`${longest}x`)], [1, 1]);
  });

  it("is remembered together for lists that are the same", () => {
    assert.equal(removing(["a", "b-"]), removing(["a", "b-"]));
    const [one, other] = [removing(["a"]), removing(["b-"])];
    assert.deepEqual(
      ["a", "b", "b-c"].map((name) => [one(name), other(name)]),
      [
        [true, false],
        [false, false],
        [false, true],
      ],
    );
  });
});
