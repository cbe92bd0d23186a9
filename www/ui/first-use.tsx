// How a new key is used, and whether it works: lines to copy, and a watch for its first request that was let through.

import { useEffect, useState } from "preact/hooks";

import type { ApiKey, Realm, Route } from "../../types/admin-api.js";
import { get } from "../api.ts";
import { useQuery } from "../cache.ts";
import { curl } from "../curl.ts";
import { keyApi } from "../paths.ts";
import { mayCallQuery } from "../queries.ts";
import { CopyLine } from "./copy.tsx";

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 15_000;
const WATCHED_MS = 10 * 60_000;

interface FirstUseProps {
  secret: string;
  apiKey: ApiKey;
  realm: Realm | undefined;
}

export function FirstUse({ secret, apiKey, realm }: FirstUseProps) {
  const [routes = []] = useQuery(mayCallQuery({ keyId: apiKey.id })).pages;
  const call = realm && passing(realm, routes);
  const path = call?.path.replace(/\*$/, "").replace(/\{[^}]*\}/g, "1");
  return (
    <>
      <CopyLine what=".env line" text={`API_KEY=${secret}`} />
      {realm?.credential && call && path && (
        <>
          <CopyLine what="curl line" text={curl(call.method, path, realm, realm.credential, secret)} />
          <Watch id={apiKey.id} />
        </>
      )}
    </>
  );
}

/** A request that passes: to read if that may be, of a path without names that stand for something. */
function passing({ id }: Realm, routes: Route[]) {
  const calls = routes.flatMap(({ realm, path, mayCall, needs }) =>
    (mayCall ?? []).map((method) => ({ method, path, isFit: realm === id && needs.by.includes("key") })),
  );
  const fit = calls.filter(({ isFit }) => isFit);
  return (
    fit.find(({ method, path }) => method === "GET" && !path.includes("{")) ??
    fit.find(({ method }) => method === "GET") ??
    fit[0]
  );
}

/** Looks whether the key was used, ever less often, for some minutes. */
function Watch({ id }: { id: string }) {
  const [said, setSaid] = useState("Waiting for its first request: run the curl line …");
  const [isGood, setGood] = useState(false);

  useEffect(() => {
    const end = Date.now() + WATCHED_MS;
    let wait = FIRST_WAIT_MS;
    let timer: ReturnType<typeof setTimeout>;
    let isOver = false;
    async function look() {
      // What fails, fails for now. Signing in again can wait until somebody does something.
      const { points } = document.hidden
        ? { points: [] }
        : await get(`${keyApi(id)}/usage`, {}, { anonymous: true }).catch(() => ({ points: [] }));
      if (isOver) return;
      const refused = points.flatMap((point) => Object.keys(point.refused));
      if (points.some(({ accepted }) => accepted > 0)) {
        setGood(true);
        return setSaid("It works: its first request was let through.");
      }
      if (refused[0]) setSaid(`A request was refused: ${refused.join(", ")}. Waiting for the next one …`);
      wait = Math.min(wait * 1.2, LONGEST_WAIT_MS);
      if (Date.now() < end) timer = setTimeout(look, wait);
      else setSaid("No request was let through so far. The key's page says when one is.");
    }
    timer = setTimeout(look, wait);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [id]);

  return (
    <p role="status" class={isGood ? "good" : "waiting"} data-testid="first-use">
      {said}
    </p>
  );
}
