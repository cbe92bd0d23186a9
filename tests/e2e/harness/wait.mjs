// Awaiting a condition instead of sleeping.

/**
 * Calls `condition` until it returns something truthy, which is returned. What it throws counts as
 * not yet.
 * @template Result
 * @param {string} what is awaited, for the message when it does not come
 * @param {() => Result | Promise<Result>} condition
 * @returns {Promise<NonNullable<Result>>}
 */
export async function waitFor(what, condition, { timeoutMs = 10_000, everyMs = 25 } = {}) {
  const end = Date.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      const result = await condition();
      if (result) return result;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) {
      throw new Error(`${what}: not within ${timeoutMs} ms${last ? ` (${last})` : ""}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
