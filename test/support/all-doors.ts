/** The program with every dialect, and the list of what its doors serve, for tests that walk all of it. */
import { HOOKBRIDGE } from "../../src/dialects/hookbridge/dialect.ts";
import { PINGBACK } from "../../src/dialects/pingback/dialect.ts";
import { POSTHOOK } from "../../src/dialects/posthook/dialect.ts";
import { PYFLY } from "../../src/dialects/pyfly/dialect.ts";
import type { PosthookSettings } from "../../src/domain/project-settings.ts";
import { createApiDoor } from "../../src/http/api/routes.ts";
import type { Dialect } from "../../src/http/dialect.ts";
import type { Door, DoorRoute } from "../../src/http/door.ts";
import { startTestApp, type TestApp, type TestAppOptions } from "./test-app.ts";

const POSTHOOK_SETTINGS: PosthookSettings = {
  ...{ name: "Demo", domain: "https://app.example.com", signingKeys: [{ value: "ph_sk_test" }] },
  ...{ authorization: null, isAsync: false, hasWebsocket: true, quota: null, concurrency: 8 },
  retry: {
    ...{ retries: 2, strategy: "fixed", delayMs: 15_000, factor: 2, delayMaxMs: 3_600_000 },
    hasJitter: false,
  },
};

export interface AllDoors extends AsyncDisposable {
  readonly app: TestApp;
  /** Those of the native API and of every dialect. */
  readonly doors: readonly Door[];
}

export interface ServedRoute extends DoorRoute {
  readonly door: string;
}

/** Starts it with these and every dialect, each open to the projects "default" and "other". */
export async function startAllDoors(options: TestAppOptions = {}): Promise<AllDoors> {
  const doors: Door[] = [];
  const capture = (dialect: Dialect, isFirst: boolean): Dialect => ({
    ...dialect,
    open(context) {
      const services = dialect.open(context);
      doors.push(...(isFirst ? [createApiDoor(context)] : []), ...services.doors);
      return services;
    },
  });
  const app = await startTestApp({
    canAdvance: true,
    ...options,
    dialects: [PINGBACK, PYFLY, HOOKBRIDGE, POSTHOOK].map((dialect, index) => capture(dialect, index === 0)),
    settings: ["default", "other"].map((project) => ({ project, posthook: POSTHOOK_SETTINGS })),
  });
  return { app, doors, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

/** Everything that takes a key. */
export function servedBy(doors: readonly Door[]): ServedRoute[] {
  return doors.flatMap(({ name, routes = [] }) => routes.map((route) => ({ ...route, door: name })));
}

/** A path with something in the places of its parameters. */
export function fill(path: string, value: string): string {
  return path.replaceAll(/:[a-z]+/gi, value);
}

/** Headers by which that door takes a key. */
export function keyHeaders(door: string, key: string): Record<string, string> {
  return door === "Posthook" ? { "x-api-key": key } : { authorization: `Bearer ${key}` };
}
