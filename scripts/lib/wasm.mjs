// A wasm module's sections (WebAssembly Core Specification, 5.5), as far as the build looks at them.

const PREAMBLE_BYTES = 8;
const CUSTOM = 0;
const CODE = 10;
const FUNCTION_NAMES = 1;

/** Reads numbers and texts one after the other. */
class Reader {
  /**
   * @param {Uint8Array} bytes
   * @param {number} at
   */
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** An unsigned LEB128 number. */
  number() {
    let number = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error("the wasm ends within a number");
      number += (byte & 127) * 2 ** shift;
      if (byte < 128) return number;
    }
  }

  text() {
    const length = this.number();
    this.at += length;
    return new TextDecoder().decode(this.bytes.subarray(this.at - length, this.at));
  }
}

/**
 * The sections in their order: each with its id, its bytes with and without what says how long it is, and a custom one's
 * name.
 * @param {Uint8Array} wasm
 */
function* sections(wasm) {
  const reader = new Reader(wasm, PREAMBLE_BYTES);
  while (reader.at < wasm.length) {
    const begin = reader.at;
    const id = wasm[reader.at++];
    const length = reader.number();
    const end = reader.at + length;
    const name = id === CUSTOM ? reader.text() : "";
    yield { id, name, whole: wasm.subarray(begin, end), content: wasm.subarray(reader.at, end) };
    reader.at = end;
  }
}

/**
 * The module without what an engine does not need: names of functions, and which tools made it. Code stays where it is,
 * so that its functions have the same indices.
 * @param {Uint8Array} wasm
 */
export function stripped(wasm) {
  const needed = [...sections(wasm)].filter(({ id }) => id !== CUSTOM).map(({ whole }) => whole);
  return Buffer.concat([wasm.subarray(0, PREAMBLE_BYTES), ...needed]);
}

/**
 * The bodies of its functions, without those that are imported.
 * @param {Uint8Array} wasm
 */
export function codeOf(wasm) {
  const section = [...sections(wasm)].find(({ id }) => id === CODE);
  const reader = new Reader(section?.content ?? new Uint8Array());
  return Array.from({ length: section ? reader.number() : 0 }, () => {
    const length = reader.number();
    reader.at += length;
    return reader.bytes.subarray(reader.at - length, reader.at);
  });
}

/**
 * The names of functions by their indices.
 * @param {Uint8Array} wasm
 */
export function functionNames(wasm) {
  const names = new Map();
  const section = [...sections(wasm)].find(({ id, name }) => id === CUSTOM && name === "name");
  const reader = new Reader(section?.content ?? new Uint8Array());
  while (reader.at < reader.bytes.length) {
    const kind = reader.number();
    const end = reader.number() + reader.at;
    if (kind === FUNCTION_NAMES) {
      for (let left = reader.number(); left > 0; left--) names.set(reader.number(), reader.text());
    }
    reader.at = end;
  }
  return names;
}
