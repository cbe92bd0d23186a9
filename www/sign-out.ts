// Signing out, from the rail and from the settings.

import { Problem } from "./api.ts";
import { go } from "./router.ts";
import * as session from "./session.ts";
import { announce } from "./ui/parts.tsx";

export async function signOut() {
  try {
    await session.signOut();
    go("/sign-in");
  } catch (problem) {
    announce(`Not signed out: ${problem instanceof Problem ? problem.message : "The page made a mistake."}`);
  }
}
