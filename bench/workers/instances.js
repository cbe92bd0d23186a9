// Remembers the wasm instances that are made after it: how much memory one has, nothing else tells.
const { Instance } = WebAssembly;

/** @type {WebAssembly.Instance[]} */
export const instances = [];

WebAssembly.Instance = class extends Instance {
  constructor(...made) {
    super(...made);
    instances.push(this);
  }
};
