// Saves an export as a file.

import { getText } from "./api.ts";

/**
 * Reads an export to its end and saves it. Each page is held as a Blob, which browsers may keep on disk. `goOn` is
 * told of the lines so far, and says whether the rest is still wanted.
 */
export async function saveExport(path: string, query: Record<string, string>, goOn: (lines: number) => boolean) {
  const parts: Blob[] = [];
  // A line of names comes first in CSV.
  let lines = query.format === "csv" ? -1 : 0;
  let cursor: string | null = null;
  do {
    const { text, nextCursor } = await getText(path, { ...query, cursor });
    parts.push(new Blob([text]));
    lines += text.split("\n").length - 1;
    cursor = nextCursor;
    if (!goOn(lines)) return;
  } while (cursor);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts));
  const name = path.split("/")[1];
  link.download = `${name}-${new Date().toISOString().slice(0, 10)}.${query.format === "csv" ? "csv" : "jsonl"}`;
  link.click();
  // Once the browser has begun to save it.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
