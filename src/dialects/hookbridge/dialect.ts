/** HookBridge, as app.ts knows it. */
import type { Dialect } from "../../http/dialect.ts";
import { createDoor } from "./door.ts";
import { createFilesDoor } from "./export-routes.ts";
import { Exports } from "./exports.ts";
import { DOOR } from "./objects.ts";
import { PROFILES } from "./profiles.ts";
import { createReceiveDoor } from "./receive.ts";
import { Service } from "./service.ts";
import { Sweep } from "./sweep.ts";
import { Tunnel } from "./tunnel.ts";

export const HOOKBRIDGE: Dialect = {
  name: DOOR,
  profiles: PROFILES,
  open(context) {
    const service = new Service(context);
    const sweep = new Sweep(service);
    const exports = new Exports(service);
    const tunnel = new Tunnel(service);
    service.onStored = (source) => tunnel.wake(source);
    return {
      doors: [
        createDoor(service, { exports, tunnel }),
        createReceiveDoor(service),
        createFilesDoor(service, exports),
      ],
      reconcile: (projects) => service.applySettings(projects),
      settling: { isSettled: () => sweep.isSettled() && exports.isSettled() },
      async start() {
        sweep.start();
        await exports.start();
      },
      async stop() {
        tunnel.stop();
        await Promise.all([sweep.stop(), exports.stop()]);
      },
    };
  },
};
