/** Posthook, as app.ts knows it. */
import type { Dialect, DialectContext, DialectServices } from "../../http/dialect.ts";
import { Listening } from "./listening.ts";
import { POSTHOOK_PROFILE } from "./profile.ts";
import { Projects } from "./projects.ts";
import { createPosthookDoor } from "./routes.ts";

export const POSTHOOK: Dialect = { name: "posthook", profiles: [POSTHOOK_PROFILE], open };

function open(context: DialectContext): DialectServices {
  const projects = new Projects(context);
  const listening = new Listening(context, projects);
  return {
    doors: [createPosthookDoor({ context, projects, listening })],
    async reconcile(settings) {
      await projects.reconcile(settings);
      listening.review();
    },
    async stop() {
      listening.stop();
    },
  };
}
