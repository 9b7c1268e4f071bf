/**
 * Exports (protocol section 10.4): the log of messages as a CSV file. One is written at a time, page by page
 * on the read thread and part by part into the store, so that no size of file holds up anything else. A
 * restart begins an unfinished one anew.
 *
 *   pending -> processing -> completed -> expired      or failed, with the reason
 */
import { DAY, HOUR } from "../../domain/duration.ts";
import type { ExportRecord } from "../../domain/export.ts";
import type { HistoryFilter, HistoryPlace, HistoryRow } from "../../domain/history.ts";
import type { Id } from "../../domain/id.ts";
import { createTokens, type Tokens } from "../../domain/token.ts";
import type { Settling } from "../../runtime/advance.ts";
import { showProgress } from "./messages.ts";
import { INBOUND, OUTBOUND } from "./profiles.ts";
import { sourceOfLane } from "./receiving.ts";
import type { Service } from "./service.ts";
import { showTime, showUuid, statesOf } from "./wire.ts";

/** What was asked; kept with the export. */
export interface ExportSpec {
  readonly since: number;
  readonly until: number;
  readonly status: string | null;
  readonly endpointId: string | null;
  readonly direction: "outbound" | "inbound";
  readonly lane: number | null;
}

const KEPT_MS = 7 * DAY;
/** A link is for following at once; asking again gives a new one. */
const LINK_MS = HOUR;
const PAGE_ROWS = 500;
/** About 200 bytes each: what a spreadsheet can still open, and far below what a disk budget minds. */
const ROWS_MAX = 1_000_000;
const PURPOSE = "hookbridge.export";
const EXPIRY_BYTES = 6;
export const FILES_PATH = "/v1/export-files/";

const COLUMNS = [
  "message_id",
  "endpoint",
  "status",
  "attempt_count",
  "created_at",
  "delivered_at",
  "next_attempt_at",
  "response_status",
  "response_latency_ms",
  "last_error",
] as const;

export class Exports implements Settling {
  readonly #service: Service;
  readonly #tokens: Tokens;
  readonly #waiting: Id[] = [];
  #running: Promise<void> | null = null;
  #isStopped = false;

  constructor(service: Service) {
    this.#service = service;
    this.#tokens = createTokens(service.context.tokenKey);
  }

  async start(): Promise<void> {
    const open = await this.#service.context.exports.exportsOf(null);
    for (const { id, state } of open.toReversed()) {
      if (state === "pending" || state === "processing") this.add(id);
    }
  }

  isSettled(): boolean {
    return this.#running === null;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  /** Writes an export once those before it are done. */
  add(id: Id): void {
    this.#waiting.push(id);
    this.#running ??= this.#work();
  }

  /** A URL that gives the file away to whoever has it, for a while. */
  link(id: Id): string {
    const { clock, apiUrl } = this.#service.context;
    const claim = Buffer.alloc(16 + EXPIRY_BYTES);
    claim.write(id, "hex");
    claim.writeUIntBE(clock.wallNow() + LINK_MS, 16, EXPIRY_BYTES);
    return `${apiUrl}${FILES_PATH}${this.#tokens.issue(PURPOSE, claim)}.csv`;
  }

  /** The export behind a link; "expired" after its time, null for what is no link of ours. */
  read(token: string): Id | "expired" | null {
    const claim = this.#tokens.read(PURPOSE, token);
    if (claim === null || claim.byteLength !== 16 + EXPIRY_BYTES) return null;
    const bytes = Buffer.from(claim);
    const isOver = bytes.readUIntBE(16, EXPIRY_BYTES) < this.#service.context.clock.wallNow();
    return isOver ? "expired" : bytes.toString("hex", 0, 16);
  }

  async #work(): Promise<void> {
    for (let id = this.#waiting.shift(); id !== undefined && !this.#isStopped; id = this.#waiting.shift()) {
      await this.#write(id).catch((error: unknown) => {
        this.#service.context.log.warn("export.failed", { export: id, error: String(error) });
      });
    }
    this.#running = null;
  }

  async #write(id: Id): Promise<void> {
    const { exports, clock } = this.#service.context;
    const record = await exports.exportById(id);
    if (!record) return;
    const startedAt = clock.now();
    await exports.putExport({ ...record, state: "processing", startedAt });
    try {
      const { rowCount, sizeBytes } = await this.#writeParts(record);
      const completedAt = clock.now();
      const times = { startedAt, completedAt, expiresAt: completedAt + KEPT_MS };
      await this.#finish({ ...record, ...times, state: "completed", rowCount, sizeBytes });
    } catch (error) {
      // While stopping it stays as it is, and the next start begins it anew.
      if (this.#isStopped) return;
      const text = error instanceof Error ? error.message : String(error);
      await this.#finish({ ...record, startedAt, state: "failed", error: text });
    }
  }

  /** What was deleted meanwhile stays so. */
  async #finish(record: ExportRecord): Promise<void> {
    const { exports } = this.#service.context;
    if (await exports.exportById(record.id)) await exports.putExport(record);
  }

  async #writeParts({ id, project, spec }: ExportRecord): Promise<{ rowCount: number; sizeBytes: number }> {
    const { exports, history } = this.#service.context;
    const filter = filterOf(project, JSON.parse(spec) as ExportSpec);
    let after: HistoryPlace | null = null;
    let text = `${COLUMNS.join(",")}\r\n`;
    let rowCount = 0;
    let sizeBytes = 0;
    for (let number = 0; ; number += 1) {
      if (this.#isStopped) throw new Error("the server is stopping");
      const page: Awaited<ReturnType<typeof history.listHistory>> = await history.listHistory({
        ...filter,
        after,
      });
      text += page.rows.map((row) => this.#showRow(row)).join("");
      rowCount += page.rows.length;
      sizeBytes += Buffer.byteLength(text);
      await exports.addExportPart({ id, number, text });
      if (page.next === null || rowCount >= ROWS_MAX) return { rowCount, sizeBytes };
      after = page.next;
      text = "";
    }
  }

  #showRow(row: HistoryRow): string {
    const source = row.profile === INBOUND ? sourceOfLane(this.#service, row.lane) : undefined;
    const endpoint =
      row.lane > 0 ? this.#service.context.directory.endpointOfLane(row.lane)?.url : source?.id;
    const values = {
      ...showProgress(row),
      message_id: showUuid(row.eventId ?? row.id),
      endpoint: endpoint ?? "",
      created_at: showTime(row.createdAt),
    };
    return `${COLUMNS.map((column) => csv(values[column])).join(",")}\r\n`;
  }
}

function filterOf(project: string, spec: ExportSpec): HistoryFilter {
  const { since, until, status, lane, direction } = spec;
  return {
    ...{ project, since, until, limit: PAGE_ROWS, isOldestFirst: true, isInBackground: true },
    profile: direction === "inbound" ? INBOUND : OUTBOUND,
    ...(lane === null ? {} : { lane }),
    ...(status === null ? {} : { states: statesOf(status) }),
  };
}

/** RFC 4180; what a spreadsheet would take for a formula is kept from being one. */
function csv(value: string | number | null): string {
  if (value === null) return "";
  const text = typeof value === "string" && /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
