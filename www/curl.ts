// A call of the gate as a line of curl, for a POSIX shell.

import type { Realm } from "../types/admin-api.js";

/** `key`: its text, or a variable's name with a dollar sign. */
export function curl(
  method: string,
  path: string,
  { host }: Realm,
  { header, scheme }: NonNullable<Realm["credential"]>,
  key: string,
) {
  const name = header.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
  const url = (host ? `https://${host}` : location.origin) + path;
  const sent = { GET: "", HEAD: " -I" }[method] ?? ` -X ${method}`;
  return `curl -i${sent} -H "${name}: ${scheme ? `${scheme} ` : ""}${key}" '${url.replaceAll("'", "'\\''")}'`;
}
