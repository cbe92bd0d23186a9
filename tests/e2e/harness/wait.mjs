// Awaiting a condition instead of sleeping.

/** What does not come within this time does not come at all, however busy the machine is. */
const TIMEOUT_MS = 60_000;

/**
 * Calls `condition` until it returns something truthy, which is returned. What it throws counts as not yet, and so
 * does a call that gives nothing in time.
 * @template Result
 * @param {string} what is awaited, for the message when it does not come
 * @param {() => Result | Promise<Result>} condition
 * @returns {Promise<NonNullable<Result>>}
 */
export async function waitFor(what, condition, { timeoutMs = TIMEOUT_MS, everyMs = 25 } = {}) {
  const end = Date.now() + timeoutMs;
  /** @type {unknown} */
  let last = "its first call has given nothing";
  for (;;) {
    try {
      const result = await within(end - Date.now(), condition);
      if (result) return result;
      last = undefined;
    } catch (error) {
      if (error !== LATE) last = error;
    }
    if (Date.now() >= end) {
      throw new Error(`${what}: not within ${timeoutMs} ms${last ? ` (${last})` : ""}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/**
 * What a promise gives, which says so itself: nothing is asked again.
 * @template Result
 * @param {string} what is awaited, for the message when it does not come
 * @param {Promise<Result>} promise
 */
export async function inTime(what, promise, { timeoutMs = TIMEOUT_MS } = {}) {
  try {
    return await within(timeoutMs, () => promise);
  } catch (error) {
    throw error === LATE ? new Error(`${what}: not within ${timeoutMs} ms`) : error;
  }
}

const LATE = Symbol("late");

/**
 * What `condition` gives; throws `LATE` if it has given nothing after this time.
 * @template Result
 * @param {number} ms
 * @param {() => Result | Promise<Result>} condition
 * @returns {Promise<Result>}
 */
async function within(ms, condition) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {Promise<never>} */
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, Math.max(ms, 0), LATE);
  });
  try {
    return await Promise.race([condition(), late]);
  } finally {
    clearTimeout(timer);
  }
}
