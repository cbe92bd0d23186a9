// The bound on memory for uploads. What an isolate holds cannot be told from outside, so this asks the module that decides.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ended, LONGEST_PAUSE, MOST_LARGE, mayBeLarge } from "../../src/large_uploads.js";

describe("large buffers for uploads", () => {
  it("are at most 64 at a time; the next one is for whoever comes when one has ended, or stands still", () => {
    const uploads = Array.from({ length: 64 }, (_, i) => Symbol(String(i)));
    assert.equal(MOST_LARGE, 64);
    for (const upload of uploads) assert.equal(mayBeLarge(upload, 0), true);
    const [first, second, third] = uploads;
    const late = Symbol("late");
    assert.equal(mayBeLarge(late, 1), false);
    assert.equal(mayBeLarge(first, 2), true, "who has one keeps it");
    ended(first);
    assert.equal(mayBeLarge(late, 3), true);
    assert.equal(mayBeLarge(first, 4), false, "and no more than that one");
    for (const upload of uploads.slice(2)) assert.equal(mayBeLarge(upload, 5), true);
    // Only the second one has stood still since the beginning.
    assert.equal(mayBeLarge(first, LONGEST_PAUSE), false);
    assert.equal(mayBeLarge(first, LONGEST_PAUSE + 1), true);
    assert.equal(mayBeLarge(second, LONGEST_PAUSE + 2), false);
    assert.equal(mayBeLarge(third, LONGEST_PAUSE + 3), true);
  });
});
