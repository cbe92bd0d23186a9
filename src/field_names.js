// Which fields are removed, by their names.

/**
 * A name as servers compare it that map several spellings to one (CGI, RFC 3875, section 4.1.18; WSGI, PHP): in lower case, with
 * `-` for every punctuation character.
 */
export const readName = (/** @type {string} */ name) => name.toLowerCase().replace(/[^a-z0-9]/g, "-");

/** Most names of a list that are remembered with what was found of them, and the most characters of one. Clients choose them. */
export const MOST_NAMES = 4_096;
export const LONGEST_NAME = 64;

/**
 * What `removing` has returned, by the list: many profiles have the same.
 * @type {Map<string, (name: string) => boolean>}
 */
const made = new Map();

/**
 * A function that tells whether a field is removed, by its name in lower case.
 * @param {string[]} list names, in lower case, of what is removed. `x-` at the end stands for every name that begins with it, `-x-`
 *   for every name that contains these words, `~x` for other spellings of x only. Every punctuation character counts as `-`, since
 *   servers map several spellings to one name (CGI, RFC 3875, section 4.1.18)
 * @returns {(name: string) => boolean}
 */
export function removing(list) {
  const key = list.join("\n");
  const known = made.get(key) ?? remembering(judging(list));
  made.set(key, known);
  return known;
}

/**
 * @param {string[]} list
 * @returns {(name: string) => boolean}
 */
function judging(list) {
  const names = new Set(list);
  const words = list.filter((name) => name.startsWith("-"));
  const prefixes = list.filter((name) => name.endsWith("-"));
  const begins = (/** @type {string} */ name, /** @type {string} */ how) =>
    prefixes.some((prefix) => prefix.startsWith(how) && name.startsWith(prefix.slice(how.length)));
  return (name) => {
    if (names.has(name) || begins(name, "")) return true;
    const read = readName(name);
    if (words.some((some) => `-${read}-`.includes(some))) return true;
    return read !== name && (names.has(read) || names.has(`~${read}`) || begins(read, "") || begins(read, "~"));
  };
}

/**
 * The same function, which looks at a name once only.
 * @param {(name: string) => boolean} judge
 * @returns {(name: string) => boolean}
 */
export function remembering(judge) {
  /** @type {Map<string, boolean>} */
  const judged = new Map();
  return (name) => {
    const known = judged.get(name);
    if (known !== undefined) return known;
    const isRemoved = judge(name);
    if (name.length <= LONGEST_NAME) {
      if (judged.size >= MOST_NAMES) judged.clear();
      judged.set(name, isRemoved);
    }
    return isRemoved;
  };
}
