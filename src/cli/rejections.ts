/** `postern rejections`: what was refused and why, and letting it in after all. */
import type { Command } from "commander";
import {
  addListOptions,
  addOutputOptions,
  addTimeOptions,
  fetchOne,
  isRow,
  type ListOptions,
  type OutputOptions,
  printBody,
  printSection,
  runList,
  runOnEach,
  writeBody,
} from "./listing.ts";
import { type Column, formatFields, type Row } from "./table.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

const PATH = "/_/api/rejections";

interface RejectionListOptions extends ListOptions {
  readonly source?: string;
  readonly reason?: string;
  readonly since?: string;
  readonly until?: string;
}

interface RejectionGetOptions extends OutputOptions {
  readonly body?: boolean;
}

interface AdmitOptions extends OutputOptions {
  readonly force?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: "id", of: ({ id }) => id },
  { title: "received", of: ({ receivedAt }) => receivedAt },
  { title: "source", of: ({ source }) => source },
  { title: "reason", of: ({ reason }) => reason },
  { title: "admitted as", of: ({ admission }) => (isRow(admission) ? admission.eventId : null) },
  { title: "why", of: ({ diagnosis, detail }) => (isRow(diagnosis) && diagnosis.sentence) || detail },
];

export function addRejectionsCommand(program: Command): void {
  const rejections = program.command("rejections").description("look at what was refused, and let it in");
  addTimeOptions(addListOptions(rejections.command("list")))
    .description("list refused requests, newest first")
    .option("--source <source>", "only of this source: its name or id")
    .option("--reason <reason>", "only with this reason, such as signature_mismatch")
    .action(action(list));
  addOutputOptions(rejections.command("get <id>"))
    .description("show a refused request with its diagnosis, headers and body")
    .option("--body", "write its bytes, and nothing else")
    .action(action(get));
  addOutputOptions(rejections.command("admit <ids...>"))
    .description("verify refused requests again under today's configuration, and let in what passes")
    .option("--force", "let them in although they fail; this is recorded")
    .action(action(admit));
}

function list(options: RejectionListOptions): Promise<ExitCode> {
  const { source, reason, since, until } = options;
  const filter = { source, reason, since, until };
  return runList(options, { path: PATH, filter, columns: COLUMNS, nothing: "No rejections." });
}

async function get(id: string, options: RejectionGetOptions): Promise<ExitCode> {
  const rejection = await fetchOne(options, PATH, id);
  if (options.body) writeBody(rejection);
  else if (options.json) printJson(rejection);
  else show(rejection);
  return EXIT.ok;
}

function show(rejection: Row): void {
  const { id, source, reason, detail, receivedAt, method, url, remoteAddress } = rejection;
  const fields = { id, source, reason, detail, received: receivedAt, from: remoteAddress };
  for (const line of formatFields({ ...fields, request: `${String(method)} ${String(url)}` })) print(line);
  if (isRow(rejection.admission)) printSection("admitted", formatFields(rejection.admission));
  if (isRow(rejection.diagnosis)) printSection("diagnosis", formatFields(rejection.diagnosis));
  if (isRow(rejection.headers)) printSection("headers", formatFields(rejection.headers));
  printBody(rejection);
  if (rejection.isBodyCut === true) print("\nOnly the beginning of the body was kept.");
}

function admit(ids: readonly string[], options: AdmitOptions): Promise<ExitCode> {
  return runOnEach(ids, options, {
    pathOf: (id) => `${PATH}/${id}/admit`,
    body: { force: options.force ?? false },
    advise: ({ status }) => (status === 409 ? "It stays refused. --force lets it in as it is." : null),
    describe: ({ eventId, duplicate, forced }, id) => {
      const how =
        duplicate === true ? "is known already as" : forced === true ? "was forced in as" : "became";
      return `${id} ${how} ${String(eventId)}`;
    },
  });
}
