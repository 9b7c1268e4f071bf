/**
 * Builds dist/postern: one executable with Bun, the program, the migrations and the read worker inside. Needs
 * no network: the Bun that runs this script is the one that goes into the executable.
 *
 * Names are not minified, because Elysia reads the source text of handlers. The executable must not load what
 * lies in the folder where it is started: as a sidecar that is the application's own .env and bunfig.toml.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const OUTPUT = resolve(ROOT, process.env.POSTERN_BUILD_OUTPUT ?? "dist/postern");
const ENTRY_POINTS = ["src/main.ts", "src/storage/read-worker.ts"];

/** Returns the commit that is checked out, marked when files were changed; "unknown" outside a repository. */
function currentCommit(): string {
  if (process.env.POSTERN_COMMIT) return process.env.POSTERN_COMMIT;
  const head = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], { cwd: ROOT, stderr: "ignore" });
  if (!head.success) return "unknown";
  const changes = Bun.spawnSync(["git", "status", "--porcelain"], { cwd: ROOT, stderr: "ignore" });
  const isClean = changes.stdout.toString().trim() === "";
  return `${head.stdout.toString().trim()}${isClean ? "" : "+changes"}`;
}

const commit = currentCommit();
mkdirSync(dirname(OUTPUT), { recursive: true });
const build = Bun.spawnSync(
  [
    process.execPath,
    "build",
    "--compile",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--minify-whitespace",
    "--minify-syntax",
    "--sourcemap=inline",
    `--define=POSTERN_COMMIT=${JSON.stringify(commit)}`,
    `--outfile=${OUTPUT}`,
    ...ENTRY_POINTS,
  ],
  { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] },
);
if (!build.success) process.exit(build.exitCode ?? 1);
// The maps are inside as well, where stack traces find them; the executable is to be one file.
const folder = dirname(OUTPUT);
for (const name of readdirSync(folder)) if (name.endsWith(".map")) rmSync(join(folder, name));
const mebibytes = statSync(OUTPUT).size / 1_048_576;
process.stdout.write(`${OUTPUT} (${commit}, ${mebibytes.toFixed(0)} MiB)\n`);
