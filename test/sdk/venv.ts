/**
 * Python virtual environments with pinned packages, for tests that run the official SDKs. An environment is
 * made once per set of packages, below .venv/ in the project's folder, and kept: the second run needs no
 * network.
 *
 * Without python3 or the package index a suite is skipped, and says why; with CI=1 that is a failure instead,
 * since a skipped SDK test proves nothing.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../../.venv");
/** Written last, so that an environment that was interrupted is made again. */
const COMPLETE = "complete";
const PIP_TIMEOUT_S = "30";

export interface Venv {
  /** The interpreter inside. */
  readonly python: string;
  /** Its folder: `lib/python3.x/site-packages` is below. */
  readonly folder: string;
}

export interface VenvOptions {
  /** The folder's name; one per set of packages. */
  readonly name: string;
  /** With exact versions: "hookbridge==2.0.0". */
  readonly packages: readonly string[];
}

/**
 * Returns the environment, or null when it cannot be had here. Throws instead of returning null with CI=1.
 */
export function openVenv({ name, packages }: VenvOptions): Venv | null {
  const unpinned = packages.find((one) => !one.includes("=="));
  if (unpinned) throw new Error(`the package ${unpinned} has no exact version`);
  const key = new Bun.CryptoHasher("sha256").update(packages.join("\n")).digest("hex").slice(0, 12);
  const folder = join(ROOT, `${name}-${key}`);
  const venv = { python: join(folder, "bin/python"), folder };
  if (existsSync(join(folder, COMPLETE))) return venv;
  const fault = createVenv(folder, packages);
  if (fault === null) return venv;
  if (process.env.CI === "1") throw new Error(`no virtual environment ${name}: ${fault}`);
  process.stderr.write(`skipped: no virtual environment ${name}: ${fault}\n`);
  return null;
}

/** Returns why it could not be made, or null. */
function createVenv(folder: string, packages: readonly string[]): string | null {
  mkdirSync(ROOT, { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  const made = run(["python3", "-m", "venv", folder]);
  if (made !== null) return `${made} (Debian: apt-get install python3 python3-venv)`;
  const python = join(folder, "bin/python");
  const options = ["--quiet", "--disable-pip-version-check", "--timeout", PIP_TIMEOUT_S];
  const installed = run([python, "-m", "pip", "install", ...options, ...packages]);
  if (installed !== null) return installed;
  const marker = join(folder, `${COMPLETE}.part`);
  writeFileSync(marker, packages.join("\n"));
  renameSync(marker, join(folder, COMPLETE));
  return null;
}

function run(command: readonly string[]): string | null {
  try {
    const { success, stderr } = Bun.spawnSync([...command], { stdout: "ignore", stderr: "pipe" });
    return success ? null : `${command[0]} failed: ${stderr.toString().trim().slice(-2_000)}`;
  } catch (error) {
    return `${command[0]} cannot be run: ${error instanceof Error ? error.message : String(error)}`;
  }
}
