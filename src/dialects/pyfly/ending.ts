/**
 * Ends what waits for targets that are refused now: each is made due, so that its next attempt finds the
 * refusal at once instead of after its backoff. What a restart interrupts ends when its own time has come.
 */
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import type { DialectContext } from "../../http/dialect.ts";

const PAGE = 100;

export type EndingContext = Pick<DialectContext, "callbacks" | "commands" | "directory" | "log">;

export class Ending {
  readonly #context: EndingContext;
  readonly #running = new Set<Promise<void>>();
  #isStopping = false;

  constructor(context: EndingContext) {
    this.#context = context;
  }

  /** Not awaited by the request that asked. */
  end(project: string, configId: Id): void {
    const run = this.#endAll(project, configId).catch((error: unknown) => {
      this.#context.log.warn("callbacks.not_ended", { config: configId, error: String(error) });
    });
    this.#running.add(run);
    void run.then(() => this.#running.delete(run));
  }

  isSettled(): boolean {
    return this.#running.size === 0;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }

  async #endAll(project: string, configId: Id): Promise<void> {
    const { callbacks, directory } = this.#context;
    let after = 0;
    while (!this.#isStopping) {
      const page = await callbacks.listCallbackExecutions({
        ...{ project, configId, status: "PENDING", limit: PAGE, after },
      });
      if (page.length === 0) return;
      for (const { id, delivery } of page) {
        if (delivery === null) continue;
        if (isRefused(directory.endpointOfLane(delivery.lane)?.extra)) await this.#retryNow(project, id);
      }
      after = page.at(-1)?.seq ?? after;
    }
  }

  /** One that is on its way, or over by now, needs no push. */
  async #retryNow(project: string, id: Id): Promise<void> {
    try {
      await this.#context.commands.retryNow(project, id);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "invalid_state") throw error;
    }
  }
}

function isRefused(extra: string | undefined): boolean {
  return extra !== undefined && (JSON.parse(extra) as { refusal?: string | null }).refusal != null;
}
