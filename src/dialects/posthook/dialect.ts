/** Posthook, as app.ts knows it. */
import type { Dialect, DialectContext, DialectServices } from "../../http/dialect.ts";
import { POSTHOOK_PROFILE } from "./profile.ts";
import { Projects } from "./projects.ts";
import { createPosthookDoor } from "./routes.ts";

export const POSTHOOK: Dialect = { name: "posthook", profiles: [POSTHOOK_PROFILE], open };

function open(context: DialectContext): DialectServices {
  const projects = new Projects(context);
  return {
    doors: [createPosthookDoor({ context, projects })],
    reconcile: (settings) => projects.reconcile(settings),
  };
}
