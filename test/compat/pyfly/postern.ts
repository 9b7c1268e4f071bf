/** PyFly's callbacks at their door, with scripted receivers and a clock that stands still. */
import { PYFLY } from "../../../src/dialects/pyfly/dialect.ts";
import type { DeclaredCallbackConfig, PyflySettings } from "../../../src/domain/project-settings.ts";
import { ScriptedSender, type Sent, type Step } from "../../support/scripted-sender.ts";
import { KEYS, startTestApp, type TestApp } from "../../support/test-app.ts";

export interface Execution {
  readonly id: string;
  readonly config_id: string;
  readonly event_type: string;
  readonly target_url: string;
  readonly payload: unknown;
  readonly status: "PENDING" | "DELIVERED" | "FAILED";
  readonly attempts: number;
  readonly last_error: string | null;
  readonly response_status: number | null;
  readonly created_at: string;
  readonly delivered_at: string | null;
  readonly next_attempt_at: string | null;
  readonly history?: readonly { readonly error: string | null }[];
}

export interface ConfigBody {
  readonly tenant_id?: string;
  readonly name?: string;
  readonly enabled?: boolean;
  readonly secret?: string | null;
  readonly max_attempts?: number;
  readonly backoff_ms?: number;
  readonly authorized_domains?: readonly { readonly domain: string; readonly description?: string }[];
  readonly subscriptions?: readonly {
    readonly event_type: string;
    readonly target_url: string;
    readonly headers?: Readonly<Record<string, string>>;
  }[];
}

export const TARGET = "https://customer.example.com/orders";
const SETTINGS: PyflySettings = {
  timeoutMs: 10_000,
  breaker: { failures: 5, recoveryMs: 30_000, scope: "origin" },
};

export class Pyfly implements AsyncDisposable {
  readonly app: TestApp;
  readonly receiver: ScriptedSender;

  constructor(app: TestApp, receiver: ScriptedSender) {
    this.app = app;
    this.receiver = receiver;
  }

  get sent(): readonly Sent[] {
    return this.receiver.sent;
  }

  /** What is answered next at the target, and then 200. */
  answer(...steps: Step[]): void {
    this.receiver.next(TARGET, ...steps);
  }

  async call(path: string, { method = "GET", body, key = KEYS.admin }: Call = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await this.app.request(`/api/v1/callbacks${path}`, {
      method,
      key,
      ...(body === undefined ? {} : { body: text }),
    });
    const json: unknown = response.status === 204 ? null : await response.json();
    return { status: response.status, headers: response.headers, json };
  }

  /** Makes a config of the tenant "acme" that sends every OrderPlaced to the target; returns its id. */
  async config(body: ConfigBody = {}): Promise<string> {
    const subscriptions = [{ event_type: "OrderPlaced", target_url: TARGET }];
    const { status, json } = await this.call("/configs", {
      method: "POST",
      body: { tenant_id: "acme", subscriptions, ...body },
    });
    if (status !== 201) throw new Error(`${status} ${JSON.stringify(json)}`);
    return (json as { id: string }).id;
  }

  /** Dispatches the text of a payload and lets everything happen that is due now. */
  async dispatch(payload = "{}", eventType = "OrderPlaced", tenant = "acme"): Promise<Execution[]> {
    const head = JSON.stringify({ tenant_id: tenant, event_type: eventType });
    const answer = await this.call("/dispatch", {
      method: "POST",
      body: `${head.slice(0, -1)},"payload":${payload}}`,
    });
    if (answer.status !== 202) throw new Error(`${answer.status} ${JSON.stringify(answer.json)}`);
    await this.app.settle();
    return answer.json as Execution[];
  }

  /** The executions as they are now, oldest first. */
  async executions(query = ""): Promise<Execution[]> {
    return (await this.call(`/executions${query}`)).json as Execution[];
  }

  /** Dispatches and lets all retries happen; the one execution. */
  async run(payload?: string): Promise<Execution> {
    const [made] = await this.dispatch(payload);
    for (let tries = 0; tries < 100; tries++) {
      const { json } = await this.call(`/executions/${made?.id}`);
      const execution = json as Execution;
      if (execution.status !== "PENDING" || execution.next_attempt_at === null) return execution;
      const waitMs = Date.parse(execution.next_attempt_at) - this.app.clock.now();
      await this.app.advance(Math.max(0, waitMs));
    }
    throw new Error("the execution does not end");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]();
  }
}

interface Call {
  readonly method?: string;
  readonly body?: unknown;
  readonly key?: string;
}

export async function startPyfly(
  settings: Partial<PyflySettings> = {},
  callbackConfigs: readonly DeclaredCallbackConfig[] = [],
): Promise<Pyfly> {
  let receiver: ScriptedSender | null = null;
  const app = await startTestApp({
    dialects: [PYFLY],
    settings: [{ project: "default", pyfly: { ...SETTINGS, ...settings }, callbackConfigs }],
    createSender: (clock) => {
      receiver = new ScriptedSender(clock);
      return receiver;
    },
  });
  if (receiver === null) throw new Error("no sender was asked for");
  return new Pyfly(app, receiver);
}
