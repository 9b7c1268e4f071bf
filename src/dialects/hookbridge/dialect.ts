/** HookBridge, as app.ts knows it. */
import type { Dialect } from "../../http/dialect.ts";
import { createDoor } from "./door.ts";
import { DOOR } from "./objects.ts";
import { PROFILES } from "./profiles.ts";
import { Service } from "./service.ts";

export const HOOKBRIDGE: Dialect = {
  name: DOOR,
  profiles: PROFILES,
  open(context) {
    const service = new Service(context);
    return {
      doors: [createDoor(service)],
      reconcile: (projects) => service.applySettings(projects),
    };
  },
};
