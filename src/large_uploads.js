// Which uploads of an isolate read with a large buffer: a limited number at a time, so that their memory has a bound.

/** At most this many uploads of an isolate have a large buffer. */
export const MOST_LARGE = 64;
/** An upload that has not moved for this long, in milliseconds, has ended unnoticed. */
export const LONGEST_PAUSE = 16 * 60_000;

/** @type {Map<symbol, number>} Uploads that have a large buffer, and when each last moved. */
const large = new Map();

/**
 * Whether an upload may have a large buffer now.
 * @param {symbol} upload
 * @param {number} now in milliseconds
 */
export function mayBeLarge(upload, now) {
  if (!large.has(upload) && large.size >= MOST_LARGE) {
    for (const [other, moved] of large) if (now - moved > LONGEST_PAUSE) large.delete(other);
    if (large.size >= MOST_LARGE) return false;
  }
  large.set(upload, now);
  return true;
}

/**
 * Notes that an upload has ended.
 * @param {symbol} upload
 */
export function ended(upload) {
  large.delete(upload);
}
