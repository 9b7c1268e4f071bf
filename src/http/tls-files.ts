/**
 * A certificate and its key, from files that may be replaced while the server runs: read again when one of
 * them changes. What cannot be used (half written, a key that does not fit) is reported and the last good
 * pair stays.
 *
 * The files are looked at every few seconds instead of watched: certificates are often swapped by renaming a
 * folder or a link above them, which a watch on the file does not see.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Clock, Timer } from "../runtime/clock.ts";

export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
}

export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

export interface TlsFilesOptions {
  readonly paths: TlsPaths;
  readonly clock: Pick<Clock, "setWallTimer">;
  readonly onChange: (pair: TlsPair) => void;
  readonly onFault: (reason: string) => void;
}

const LOOK_EVERY_MS = 2_000;

export class TlsFiles {
  readonly #options: TlsFilesOptions;
  #timer: Timer | null = null;
  #seen = "";

  constructor(options: TlsFilesOptions) {
    this.#options = options;
  }

  /** Returns the pair as it is now and begins to look for changes. Throws when it cannot be used. */
  start(): TlsPair {
    const pair = this.#read();
    this.#seen = this.#stamp();
    this.#arm();
    return pair;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(): void {
    this.#timer = this.#options.clock.setWallTimer(LOOK_EVERY_MS, () => {
      this.#look();
      this.#arm();
    });
  }

  #look(): void {
    const { onChange, onFault } = this.#options;
    const stamp = this.#stamp();
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    try {
      onChange(this.#read());
    } catch (error) {
      onFault(error instanceof Error ? error.message : String(error));
    }
  }

  #read(): TlsPair {
    const { cert, key } = this.#options.paths;
    const pair = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
    // The first certificate of a chain is the server's own.
    if (!new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key))) {
      throw new Error(`the key in ${key} does not belong to the certificate in ${cert}`);
    }
    return pair;
  }

  /** What changes when a file is written or replaced; empty for one that is not there. */
  #stamp(): string {
    const { cert, key } = this.#options.paths;
    const stats = [cert, key].map((path) => statSync(path, { throwIfNoEntry: false }));
    return stats.map((stat) => (stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : "")).join("|");
  }
}
