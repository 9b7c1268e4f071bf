/** `npm run bench`: measures, and prints one table. Progress goes to stderr, the table to stdout. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bench } from "./bench.ts";
import { killChildren } from "./children.ts";
import { describeMachine } from "./machine.ts";
import { readOptions } from "./options.ts";
import { measurePeaks, peakRows } from "./peaks.ts";
import { renderTable } from "./table.ts";

const options = readOptions(process.argv.slice(2));
const folder = mkdtempSync(join(options.dir ?? tmpdir(), "postern-bench-"));
process.on("exit", () => { killChildren(); rmSync(folder, { recursive: true, force: true }); });
const bench = new Bench(folder, options);
const rows = [];
if (options.only.has("a")) rows.push(...peakRows(await measurePeaks(bench, "ingest")));
if (options.only.has("c")) rows.push(...peakRows(await measurePeaks(bench, "path")));
console.log(renderTable(rows), describeMachine(folder), bench.generator.name, bench.program.name);
process.exit(0);
