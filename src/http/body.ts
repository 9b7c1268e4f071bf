/**
 * Reads request bodies within two bounds: so many bytes, and so much time for all of them together. A client
 * that drips its body must not hold memory for as long as it likes, and Bun's own idle timeout would cut the
 * connection without an answer. One timer serves all reads: they all get the same time, so the oldest expires
 * first.
 */
import type { Clock, Timer } from "../runtime/clock.ts";

/** `too_large`: nothing or not all was read. `too_slow`: given up. `broken`: the client went away. */
export type BodyResult = Uint8Array | "too_large" | "too_slow" | "broken";

export interface BodyReaderOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
}

interface Pending {
  readonly expiresAt: number;
  readonly expire: () => void;
}

const EMPTY = new Uint8Array(0);

export class BodyReader {
  readonly #options: BodyReaderOptions;
  /** In order of expiry. */
  readonly #pending = new Set<Pending>();
  #timer: Timer | null = null;

  constructor(options: BodyReaderOptions) {
    this.#options = options;
  }

  /** Never rejects. A declared length over the bound is refused before a byte is read. */
  read(request: Request, bytesMax: number): Promise<BodyResult> {
    const declared = request.headers.get("content-length");
    if (declared !== null) {
      if (Number(declared) > bytesMax) return Promise.resolve("too_large");
      return this.#within(
        request.bytes().then((bytes) => (bytes.byteLength > bytesMax ? "too_large" : bytes)),
      );
    }
    if (request.body === null) return Promise.resolve(EMPTY);
    const reader: ByteReader = request.body.getReader();
    const reading = readAll(reader, bytesMax);
    return this.#within(reading, () => void reader.cancel().catch(() => {}));
  }

  #within(reading: Promise<BodyResult>, abandon: () => void = () => {}): Promise<BodyResult> {
    return new Promise((resolve) => {
      const pending: Pending = {
        expiresAt: this.#options.clock.monotonicMs() + this.#options.timeoutMs,
        expire: () => {
          resolve("too_slow");
          abandon();
        },
      };
      this.#pending.add(pending);
      if (this.#timer === null) this.#arm(this.#options.timeoutMs);
      reading
        .catch((): BodyResult => "broken")
        .then((result) => {
          this.#pending.delete(pending);
          resolve(result);
        });
    });
  }

  #arm(delayMs: number): void {
    this.#timer = this.#options.clock.setWallTimer(delayMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#timer = null;
    const now = this.#options.clock.monotonicMs();
    for (const pending of this.#pending) {
      if (pending.expiresAt > now) {
        this.#arm(Math.ceil(pending.expiresAt - now));
        return;
      }
      this.#pending.delete(pending);
      pending.expire();
    }
  }
}

/** The part of a stream's reader that is used here; Bun's own type asks for more than it gives. */
interface ByteReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

async function readAll(reader: ByteReader, bytesMax: number): Promise<BodyResult> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done || !value)
      return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, length);
    length += value.byteLength;
    if (length > bytesMax) {
      void reader.cancel().catch(() => {});
      return "too_large";
    }
    chunks.push(value);
  }
}
