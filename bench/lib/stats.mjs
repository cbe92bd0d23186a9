// Medians and spreads: of a noisy machine neither the mean nor a single run says much.

export const sorted = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b);

export const median = (/** @type {number[]} */ values) => sorted(values)[Math.floor(values.length / 2)];

/** The least and the most. */
export const spread = (/** @type {number[]} */ values) => [Math.min(...values), Math.max(...values)];

/**
 * The same in another order, each equally likely: in a fixed one, or one that only rotates, each would always run after
 * the same other.
 * @template T
 * @param {T[]} values
 */
export const shuffled = (values) =>
  values
    .map((value) => ({ value, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
