// `keyward policy explain`: the gate's own decision about a request that nobody sent.

import { answer, check } from "../scripts/lib/check.mjs";
import { Failure } from "../scripts/lib/progress.mjs";
import { listed, policyFile, read, readArgs } from "./folder.mjs";

const OPTIONS = /** @type {const} */ ({
  host: { type: "string" },
  scopes: { type: "string" },
  plan: { type: "string" },
  policy: { type: "string" },
  json: { type: "boolean" },
});

/**
 * @param {string[]} args
 * @param {string} help
 */
export async function explain(args, help) {
  const { values, positionals } = readArgs(args, { help, options: OPTIONS, allowPositionals: true });
  const [method, path, ...more] = positionals;
  if (!method || !path || more.length) throw new Failure("a method and a path are needed: GET /api/orders", help);
  if (!/^[A-Za-z-]+$/.test(method))
    throw new Failure(`${JSON.stringify(method)} is not a method`, "Such as: keyward policy explain GET /api/orders");
  if (!/^\/[!-"$-~]*$/.test(path))
    throw new Failure(
      `${JSON.stringify(path)} is not a path`,
      "It begins with / and is as it is sent: keyward policy explain GET /api/orders%20of%20mine",
    );
  const { host, plan } = values;
  if (host !== undefined && !/^(\[[\da-f:.]+\]|[\w.-]+)(:\d+)?$/i.test(host))
    throw new Failure(`${JSON.stringify(host)} is not a host`, "Its name alone: --host api.example.com");
  const document = await check(policyFile(values.policy), read);
  const scopes = listed(values.scopes);
  const said = await answer(document, { method: method.toUpperCase(), path, host, scopes, plan });
  if (values.json) return console.log(JSON.stringify(said, null, 2));
  for (const { step, ok, detail } of said.steps)
    console.log(`  ${ok ? "ok" : "no"}  ${step.padEnd(10)}  ${detail ?? ""}`.trimEnd());
  const refused = said.status === null ? "It would go on." : `It would be refused: ${said.status} ${said.code}`;
  console.log(`\n${said.allowed ? "It would pass." : refused}`);
}
