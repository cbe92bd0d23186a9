// What `import demo from "keyward/demo"` gives a Worker.

/** Answers with what it received. */
declare const demo: { fetch(request: Request): Promise<Response> };
export default demo;
