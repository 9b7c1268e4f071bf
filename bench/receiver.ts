/**
 * A receiver inside this process, for what must be timed with one clock on both sides: it notes when each
 * body with a `mark` arrived, and nothing else.
 */

export interface Receiver {
  readonly url: string;
  /** When the request with that mark came, in milliseconds of performance.now(). */
  readonly arrivals: ReadonlyMap<number, number>;
  /** Resolves when so many marks have come; rejects after `limitMs`. */
  waitFor(count: number, limitMs: number): Promise<void>;
  stop(): Promise<void>;
}

const POLL_MS = 5;

export function startReceiver(): Receiver {
  const arrivals = new Map<number, number>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const atMs = performance.now();
      const { mark } = (await request.json()) as { mark?: number };
      // The first arrival counts; a retry is not what is measured.
      if (mark !== undefined && !arrivals.has(mark)) arrivals.set(mark, atMs);
      return new Response("ok");
    },
  });
  return {
    url: server.url.href,
    arrivals,
    waitFor: async (count, limitMs) => {
      const untilMs = performance.now() + limitMs;
      while (arrivals.size < count) {
        if (performance.now() > untilMs) throw new Error(`${arrivals.size} of ${count} deliveries arrived`);
        await Bun.sleep(POLL_MS);
      }
    },
    stop: () => server.stop(true),
  };
}
