// What the gate is measured against: a Worker that takes the credential away and forwards, nothing else.
export default {
  fetch(request, env) {
    const headers = new Headers(request.headers);
    headers.delete("authorization");
    return env.ORIGIN.fetch(new Request(request, { headers, redirect: "manual" }));
  },
};
export class KeyGate {}
export class Registry {}
