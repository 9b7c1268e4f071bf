/** `postern schedules`: what runs on time, and what an operator can do to it. */
import type { Command } from "commander";
import {
  addListOptions,
  addOutputOptions,
  fetchOne,
  isRow,
  type ListOptions,
  type OutputOptions,
  printSection,
  rowsOf,
  runList,
  runOnEach,
} from "./listing.ts";
import { addPreviewCommand } from "./schedule-preview.ts";
import { type Column, formatFields, formatTable, type Row } from "./table.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/schedules";

const COLUMNS: readonly Column[] = [
  { title: "name", of: ({ name }) => name },
  { title: "endpoint", of: ({ endpoint }) => endpoint },
  { title: "when", of: describeTiming },
  { title: "next run", of: describeNext },
  { title: "last run", of: ({ lastRunAt }) => lastRunAt },
  { title: "runs", of: ({ runCount }) => runCount },
  { title: "skipped", of: ({ skippedCount }) => skippedCount },
];

const RUN_COLUMNS: readonly Column[] = [
  { title: "local time", of: ({ local }) => local },
  { title: "offset", of: ({ offset }) => offset },
  { title: "utc", of: ({ at }) => at },
  { title: "note", of: ({ note }) => note, isSparse: true },
];

const ACTIONS = {
  pause: "let schedules run no more until they are resumed",
  resume: "let paused schedules run again, from now on",
  run: "run schedules once, now, beside their own runs",
} as const;

export function addSchedulesCommand(program: Command): void {
  const schedules = program.command("schedules").description("look at what runs on time, and act on it");
  addPreviewCommand(schedules);
  addListOptions(schedules.command("list")).description("list schedules, newest first").action(action(list));
  addOutputOptions(schedules.command("get <schedule>"))
    .description("show a schedule, by its name or id")
    .action(action(get));
  for (const verb of ["pause", "resume", "run"] as const) {
    addOutputOptions(schedules.command(`${verb} <schedules...>`))
      .description(ACTIONS[verb])
      .action(
        action((names: readonly string[], options: OutputOptions) =>
          runOnEach(names, options, {
            pathOf: (name) => `${PATH}/${name}/${verb}`,
            describe: (answer, name) => `${name} ${describeResult(verb, answer)}`,
          }),
        ),
      );
  }
}

function list(options: ListOptions): Promise<ExitCode> {
  return runList(options, { path: PATH, filter: {}, columns: COLUMNS, nothing: "No schedules." });
}

async function get(name: string, options: OutputOptions): Promise<ExitCode> {
  const schedule = await fetchOne(options, PATH, name);
  if (options.json) {
    printJson(schedule);
    return EXIT.ok;
  }
  const { nextRuns, ...fields } = schedule;
  for (const line of formatFields(fields)) print(line);
  const runs = rowsOf(nextRuns);
  if (runs.length > 0) printSection("next runs", formatTable(RUN_COLUMNS, runs));
  return EXIT.ok;
}

function describeResult(verb: keyof typeof ACTIONS, answer: Row): string {
  if (verb === "run") return "is being run";
  return verb === "pause" ? "is paused" : `runs next at ${String(describeNext(answer) ?? "no time")}`;
}

function describeNext({ pausedAt, nextRunAt }: Row): unknown {
  return typeof pausedAt === "string" ? "paused" : nextRunAt;
}

function describeTiming(schedule: Row): unknown {
  const { cron, every, at, timezone } = isRow(schedule.timing) ? schedule.timing : schedule;
  const zone = typeof timezone === "string" ? ` ${timezone}` : "";
  if (typeof every === "string") return `every ${every}`;
  return typeof cron === "string" ? `${cron}${zone}` : `once ${String(at)}${zone}`;
}
