/** Postern's own doors, as app.ts gives them to the server; the dialects' doors stand beside them. */
import type { Acknowledgements } from "../runtime/acknowledgements.ts";
import type { Ingest } from "../runtime/ingest.ts";
import type { ApiDeps } from "./api/deps.ts";
import { createApiDoor } from "./api/routes.ts";
import { createCallbackDoor } from "./callbacks.ts";
import type { Door } from "./door.ts";
import { createEchoDoor } from "./echo.ts";
import { createHealthDoor } from "./health.ts";
import { createIngestDoor } from "./ingest.ts";
import { createMetricsDoor, type MetricsDoorOptions } from "./metrics.ts";

export type NativeDoorsOptions = ApiDeps &
  MetricsDoorOptions & {
    readonly ingest: Ingest;
    readonly acknowledgements: Acknowledgements;
    /** Whether the config asks for /_/echo. */
    readonly hasEcho: boolean;
  };

export function createNativeDoors(options: NativeDoorsOptions): Door[] {
  const { ingest, acknowledgements, bodies, bodyBytesMax, store } = options;
  const doors = [
    createIngestDoor({ ingest, bodies, bodyBytesMax, durability: store.durability }),
    createCallbackDoor({ acknowledgements, bodies }),
    createApiDoor(options),
    createHealthDoor({ store }),
    createMetricsDoor(options),
  ];
  return options.hasEcho ? [...doors, createEchoDoor({ bodies })] : doors;
}
