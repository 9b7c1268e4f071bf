/** PyFly, as app.ts knows it. */
import type { Endpoint } from "../../domain/endpoint.ts";
import type { PyflySettings } from "../../domain/project-settings.ts";
import type { Dialect, DialectContext, DialectServices } from "../../http/dialect.ts";
import { createCallbackDoor } from "./callback-routes.ts";
import { Configs } from "./configs.ts";
import { applyDeclared } from "./declared.ts";
import { Dispatch } from "./dispatch.ts";
import { Ending } from "./ending.ts";
import { PYFLY_PROFILE } from "./profile.ts";
import { createPyflyDoor } from "./routes.ts";
import { Waiting } from "./waiting.ts";

/** Section 7 of the reference; of projects that say nothing. */
const DEFAULTS: PyflySettings = {
  timeoutMs: 10_000,
  breaker: { failures: 5, recoveryMs: 30_000, scope: "origin" },
};

export const PYFLY: Dialect = { name: "pyfly", profiles: [PYFLY_PROFILE], open };

function open(context: DialectContext): DialectServices {
  const settings = new Map<string, PyflySettings>();
  const configs = new Configs(context, (project) => settings.get(project) ?? DEFAULTS);
  const dispatch = new Dispatch(context, configs);
  const waiting = new Waiting(context);
  const ending = new Ending(context);
  const endPending = ending.end.bind(ending);
  let isLoaded = false;
  return {
    doors: [
      createPyflyDoor(context),
      createCallbackDoor({ context, configs, dispatch, waiting, endPending }),
    ],
    settling: ending,
    async reconcile(projects) {
      if (!isLoaded) await configs.load();
      isLoaded = true;
      settings.clear();
      for (const { project, pyfly } of projects) settings.set(project, pyfly ?? DEFAULTS);
      for (const { project, callbackConfigs = [] } of projects) {
        await configs.applySettings(project);
        for (const { id } of await applyDeclared(configs, project, callbackConfigs)) endPending(project, id);
      }
    },
    start: () => configs.retireLeftovers((endpoint) => isIdle(context, endpoint)),
    async stop() {
      waiting.stop();
      await ending.stop();
    },
  };
}

async function isIdle({ reads }: DialectContext, { project, lane }: Endpoint): Promise<boolean> {
  for (const state of ["queued", "sending", "retrying", "held"] as const) {
    const { data } = await reads.listDeliveries({ project, lane, state, limit: 1 });
    if (data.length > 0) return false;
  }
  return true;
}
