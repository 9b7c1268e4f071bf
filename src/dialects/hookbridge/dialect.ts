/** HookBridge, as app.ts knows it. */
import type { Dialect } from "../../http/dialect.ts";
import { createDoor } from "./door.ts";
import { DOOR } from "./objects.ts";
import { PROFILES } from "./profiles.ts";
import { createReceiveDoor } from "./receive.ts";
import { Service } from "./service.ts";
import { Sweep } from "./sweep.ts";

export const HOOKBRIDGE: Dialect = {
  name: DOOR,
  profiles: PROFILES,
  open(context) {
    const service = new Service(context);
    const sweep = new Sweep(service);
    return {
      settling: sweep,
      start: async () => sweep.start(),
      stop: () => sweep.stop(),
      doors: [createDoor(service), createReceiveDoor(service)],
      reconcile: (projects) => service.applySettings(projects),
    };
  },
};
