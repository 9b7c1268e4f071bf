/** `postern deliveries`: what goes out, attempt by attempt, and what an operator can do to it. */
import type { Command } from "commander";
import {
  addListOptions,
  addOutputOptions,
  addTimeOptions,
  fetchOne,
  type ListOptions,
  type OutputOptions,
  printSection,
  rowsOf,
  runList,
  runOnEach,
} from "./listing.ts";
import { type Column, formatFields, formatTable, showText } from "./table.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/deliveries";

interface DeliveryListOptions extends ListOptions {
  readonly state?: string;
  readonly endpoint?: string;
  readonly source?: string;
  readonly event?: string;
  readonly since?: string;
  readonly until?: string;
  readonly type?: string;
  readonly tenant?: string;
  readonly error?: string;
  readonly status?: string;
  readonly waitsFor?: string;
  readonly search?: string;
}

const COLUMNS: readonly Column[] = [
  { title: "id", of: ({ id }) => id },
  { title: "created", of: ({ createdAt }) => createdAt },
  { title: "source", of: ({ source }) => source },
  { title: "endpoint", of: ({ endpoint }) => endpoint },
  { title: "state", of: ({ state }) => state },
  { title: "waits for", of: ({ waitsFor }) => waitsFor, isSparse: true },
  { title: "key", of: ({ orderingKey }) => orderingKey, isSparse: true },
  { title: "attempts", of: ({ attemptCount }) => attemptCount },
  { title: "last", of: ({ lastStatus, lastError }) => lastError ?? lastStatus },
];

const ATTEMPT_COLUMNS: readonly Column[] = [
  { title: "no", of: ({ number }) => number },
  { title: "started", of: ({ startedAt }) => startedAt },
  { title: "ms", of: ({ durationMs }) => durationMs },
  { title: "outcome", of: ({ outcome }) => outcome },
  { title: "status", of: ({ status }) => status },
  { title: "error", of: ({ error, failure }) => error ?? failure },
];

const ACTIONS = {
  retry: "make waiting deliveries due now",
  replay: "send finished deliveries again, under their ids",
  cancel: "cancel deliveries that wait",
  discard: "give up dead or cancelled deliveries for good",
} as const;

export function addDeliveriesCommand(program: Command): void {
  const deliveries = program.command("deliveries").description("look at what goes out, and act on it");
  addTimeOptions(addListOptions(deliveries.command("list")))
    .description("list deliveries, newest first")
    .option("--state <state>", "only in this state, such as dead")
    .option("--endpoint <endpoint>", "only to this endpoint: its name or id")
    .option("--source <source>", "only from this source: its name or id")
    .option("--event <id>", "only of this event")
    .option("--type <type>", "only of this event type, or of a prefix such as invoice.*")
    .option("--tenant <tenant>", "only of this tenant's events")
    .option("--error <text>", "only with this text in the newest error")
    .option("--status <status>", "only with this HTTP status on the newest attempt")
    .option("--waits-for <what>", "only what waits for its turn in a line, a request, or its source's resume")
    .option("--search <text>", "only with this text in the body, an error or an answer")
    .action(action(list));
  addOutputOptions(deliveries.command("get <id>"))
    .description("show a delivery with its attempts")
    .action(action(get));
  for (const [verb, description] of Object.entries(ACTIONS)) {
    addOutputOptions(deliveries.command(`${verb} <ids...>`))
      .description(description)
      .action(
        action((ids: readonly string[], options: OutputOptions) =>
          runOnEach(ids, options, {
            pathOf: (id) => `${PATH}/${id}/${verb}`,
            describe: ({ state }, id) => `${id} is ${String(state)}`,
          }),
        ),
      );
  }
}

function list(options: DeliveryListOptions): Promise<ExitCode> {
  const { state, endpoint, source, event, since, until, type, tenant, error, status, search } = options;
  const { waitsFor } = options;
  const match = { type, tenant, error, status, waitsFor, q: search };
  const filter = { state, endpoint, source, event, since, until, ...match };
  return runList(options, { path: PATH, filter, columns: COLUMNS, nothing: "No deliveries." });
}

async function get(id: string, options: OutputOptions): Promise<ExitCode> {
  const delivery = await fetchOne(options, PATH, id);
  if (options.json) {
    printJson(delivery);
    return EXIT.ok;
  }
  const { eventId, source, endpoint, profile, state, createdAt, dueAt, finishedAt } = delivery;
  const { attemptCount, hasPayload, schedule, orderingKey, waitsFor } = delivery;
  const fields = {
    id: delivery.id,
    event: eventId,
    source,
    ...(schedule ? { schedule } : {}),
    endpoint,
    profile,
    state,
    ...(waitsFor ? { "waits for": waitsFor } : {}),
    ...(orderingKey ? { "ordering key": orderingKey } : {}),
    attempts: attemptCount,
  };
  const times = { created: createdAt, due: dueAt, finished: finishedAt };
  for (const line of formatFields({ ...fields, ...times })) print(line);
  const attempts = rowsOf(delivery.attempts);
  if (attempts.length > 0) printSection("attempts", formatTable(ATTEMPT_COLUMNS, attempts));
  const { responseExcerpt, responseEncoding } = attempts.at(-1) ?? {};
  if (typeof responseExcerpt === "string" && responseEncoding === "text") {
    printSection("newest answer", showText(responseExcerpt).split("\n"));
  }
  if (hasPayload === false) print("\nIts body is no longer kept; it cannot be sent again.");
  return EXIT.ok;
}
