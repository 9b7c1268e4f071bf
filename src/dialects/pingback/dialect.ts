/** Pingback, as app.ts knows it. */
import { HOUR } from "../../domain/duration.ts";
import type { FunctionStyle } from "../../domain/function.ts";
import type { PingbackSettings } from "../../domain/project-settings.ts";
import type { Dialect, DialectContext, DialectServices } from "../../http/dialect.ts";
import { alertRoutes } from "./alert-routes.ts";
import { Alerts } from "./alerts.ts";
import { executionRoutes } from "./execution-routes.ts";
import { jobRoutes } from "./job-routes.ts";
import { KeyUses } from "./key-uses.ts";
import { PINGBACK_PROFILE } from "./profile.ts";
import { keyRoutes, projectRoutes } from "./project-routes.ts";
import { createPingbackDoor } from "./route.ts";
import { sdkRoutes } from "./sdk-routes.ts";
import { PINGBACK_NAME } from "./wire.ts";

/** Of projects that say nothing. */
const DEFAULTS: PingbackSettings = {
  ...{ endpointUrl: null, isPinned: false, secret: null },
  ...{ timezone: "UTC", timeoutMaxMs: HOUR },
};

const STYLE: FunctionStyle = {
  door: PINGBACK_NAME,
  profile: PINGBACK_NAME,
  sign: (secret) => [{ scheme: "pingback", secrets: [{ value: secret }] }],
};

export const PINGBACK: Dialect = { name: PINGBACK_NAME, profiles: [PINGBACK_PROFILE], open };

function open(context: DialectContext): DialectServices {
  const { functions } = context;
  const settings = new Map<string, PingbackSettings>();
  const rulesOf = (project: string) => settings.get(project) ?? DEFAULTS;
  const uses = new KeyUses(context.keyUses);
  const alerts = new Alerts(context);
  context.onChanges((changes) => alerts.note(changes));
  const routes = [
    ...sdkRoutes(context, rulesOf),
    ...jobRoutes(context, rulesOf),
    ...executionRoutes(context),
    ...projectRoutes(context),
    ...keyRoutes(context, uses),
    ...alertRoutes(context, alerts),
  ];
  let isLoaded = false;
  return {
    doors: [createPingbackDoor(routes, { context, uses })],
    settling: alerts,
    stop: () => alerts.stop(),
    async reconcile(projects) {
      if (!isLoaded) {
        await functions.load(STYLE);
        await uses.load();
      }
      isLoaded = true;
      settings.clear();
      for (const { project, pingback } of projects) {
        if (pingback) settings.set(project, pingback);
        await functions.declare(project, pingback ?? DEFAULTS);
      }
    },
  };
}
