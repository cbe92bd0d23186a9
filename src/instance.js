// Whether the wasm instance has ended: by a panic, or anything else that left its memory half changed.

export const instance = { hasEnded: false };

/** Called by the instance itself, with its last breath. Why it ended stands in the log before. */
export function noteEnd() {
  instance.hasEnded = true;
  console.error(JSON.stringify({ event: "panic" }));
}
