/**
 * `postern schedules preview`: when a schedule would run, as people in its zone read it. Needs no server: it
 * asks the same functions that the server asks.
 */
import { type Command, InvalidArgumentError } from "commander";
import { readMoment } from "../domain/delay.ts";
import { PREVIEW_COUNT_MAX, type PreviewedRun, preview } from "../domain/schedule.ts";
import { readPlan, type SpecProblem } from "../domain/schedule-spec.ts";
import { canonicalZone } from "../domain/zone.ts";
import { SystemClock } from "../runtime/clock.ts";
import { formatTable } from "./table.ts";
import { action, CommandError, EXIT, type ExitCode, print, printError, printJson } from "./terminal.ts";

interface PreviewOptions {
  readonly every?: string;
  readonly at?: string;
  readonly tz?: string;
  readonly start?: string;
  readonly end?: string;
  readonly from?: string;
  readonly count: number;
  readonly json?: boolean;
}

const COUNT_DEFAULT = 5;

const COLUMNS = [
  { title: "local time", of: ({ local }: Shown) => local },
  { title: "offset", of: ({ offset }: Shown) => offset },
  { title: "utc", of: ({ at }: Shown) => at },
  { title: "note", of: ({ note }: Shown) => note },
];

type Shown = Readonly<Record<string, unknown>>;

export function addPreviewCommand(schedules: Command): void {
  schedules
    .command("preview [cron]")
    .description('show when a schedule would run, such as "0 2 * * *"; needs no server')
    .option("--every <duration>", "instead of a cron expression: 15m, counted from --start or --from")
    .option("--at <time>", "instead of a cron expression: once, at an instant or a local time")
    .option("--tz <zone>", "the time zone of the schedule: Europe/Berlin (default: UTC)")
    .option("--start <time>", "no run before this")
    .option("--end <time>", "no run from this on")
    .option("--from <time>", "show runs from here on, local when it has no offset (default: now)")
    .option("--count <runs>", "how many", readCount, COUNT_DEFAULT)
    .option("--json", "print JSON")
    .action(action(showPreview));
}

function showPreview(cron: string | undefined, options: PreviewOptions): ExitCode {
  const { every, at, tz: timezone, start, end, count } = options;
  const fromAt = readFrom(options);
  const reading = readPlan({ cron, every, at, timezone, start, end }, fromAt);
  if (!reading.ok) throw new CommandError(reading.problems.map(showProblem).join("\n"));
  const { plan } = reading;
  const runs = preview(plan, fromAt, count).map(showRun);
  if (options.json) {
    printJson({ timezone: plan.zone, from: new Date(fromAt).toISOString(), runs });
    return EXIT.ok;
  }
  if (runs.length === 0) printError(`No run from ${new Date(fromAt).toISOString()} on.`);
  else for (const line of formatTable(COLUMNS, runs)) print(line);
  return EXIT.ok;
}

function showRun({ at, local, offset, note }: PreviewedRun) {
  return { at: new Date(at).toISOString(), local, offset, note };
}

/** A time without an offset is local in the schedule's zone; an unknown zone is the plan's to complain of. */
function readFrom({ from, tz = "UTC" }: PreviewOptions): number {
  if (from === undefined) return new SystemClock().wallNow();
  const moment = readMoment(from, canonicalZone(tz) ?? "UTC");
  if (moment.ok) return moment.at;
  throw new CommandError(`--from: ${moment.problem}`);
}

function showProblem({ key, problem }: SpecProblem): string {
  if (key === "cron") return `cron: ${problem}`;
  return `--${key === "timezone" ? "tz" : key}: ${problem}`;
}

function readCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= PREVIEW_COUNT_MAX) return count;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${PREVIEW_COUNT_MAX}.`);
}
