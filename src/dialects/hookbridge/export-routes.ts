/** The calls for exports, and the door that gives their files to whoever has a link. */
import type { ExportRecord } from "../../domain/export.ts";
import type { Door } from "../../http/door.ts";
import { answerData, answerFault, answerList, Fault } from "./answer.ts";
import { required } from "./endpoint-fields.ts";
import { type ExportSpec, type Exports, FILES_PATH } from "./exports.ts";
import { type Fields, wrong } from "./fields.ts";
import { findSource, laneOf } from "./receiving.ts";
import type { Call, Route } from "./router.ts";
import { readObjectId, type Service } from "./service.ts";
import { showOptionalTime, showProject, showTime, showUuid, statesOf } from "./wire.ts";

const PATH = "/v1/exports";
/** Of a project, kept or still to be written: each may be as large as a spreadsheet can bear. */
export const EXPORTS_MAX = 100;

export function exportRoutes(service: Service, exports: Exports): Route[] {
  const one = `${PATH}/:id`;
  const { exports: store } = service.context;
  const find = (call: Call) => findExport(call, service);
  return [
    { method: "POST", path: PATH, run: (call) => createExport(call, service, exports) },
    {
      method: "GET",
      path: PATH,
      async run(call) {
        const records = await store.exportsOf(call.project);
        return answerList(
          call.context,
          records.map((record) => showExport(record, service)),
          null,
        );
      },
    },
    {
      method: "GET",
      path: one,
      run: async (call) => answerData(call.context, showExport(await find(call), service)),
    },
    {
      method: "GET",
      path: `${one}/download`,
      async run(call) {
        const record = await find(call);
        const state = stateOf(record, service);
        if (state === "expired") throw new Fault("EXPORT_EXPIRED", "the export is no longer kept");
        if (state !== "completed") throw new Fault("EXPORT_NOT_READY", `the export is ${state}`);
        // compat(hookbridge 10.4): exactly 302, and an absolute URL that needs no key.
        return new Response(null, { status: 302, headers: { location: exports.link(record.id) } });
      },
    },
    {
      method: "DELETE",
      path: one,
      async run(call) {
        const { id } = await find(call);
        await store.removeExport(id);
        return answerData(call.context, { id: showUuid(id), deleted: true });
      },
    },
  ];
}

async function findExport(call: Call, service: Service): Promise<ExportRecord> {
  const record = await service.context.exports.exportById(readObjectId(call.param("id"), "export"));
  if (record?.project !== call.project) throw new Fault("NOT_FOUND", "no such export");
  return record;
}

async function createExport(call: Call, service: Service, exports: Exports): Promise<Response> {
  const { nextId, clock, exports: store } = service.context;
  const spec = readSpec(await call.fields(), call, service);
  const { length } = await store.exportsOf(call.project);
  if (length >= EXPORTS_MAX) {
    throw new Fault("CONFLICT", `the project keeps ${EXPORTS_MAX} exports already; delete one first`);
  }
  const record: ExportRecord = {
    id: nextId(),
    project: call.project,
    spec: JSON.stringify(spec),
    state: "pending",
    ...{ rowCount: null, sizeBytes: null, error: null },
    ...{ createdAt: clock.now(), startedAt: null, completedAt: null, expiresAt: null },
  };
  await store.putExport(record);
  exports.add(record.id);
  return answerData(call.context, showExport(record, service), { status: 201 });
}

function readSpec(fields: Fields, { project }: Call, service: Service): ExportSpec {
  const since = required(fields.time("start_time"), "start_time");
  const until = required(fields.time("end_time"), "end_time");
  if (until <= since) throw wrong("end_time", "after start_time");
  const status = fields.text("status") ?? null;
  if (status !== null) statesOf(status);
  const direction = fields.text("direction") ?? "outbound";
  if (direction !== "outbound" && direction !== "inbound")
    throw wrong("direction", '"outbound" or "inbound"');
  const name = direction === "outbound" ? "endpoint_id" : "inbound_endpoint_id";
  const endpointId = fields.text(name) ?? null;
  const lane =
    endpointId === null
      ? null
      : direction === "outbound"
        ? service.endpoint(project, endpointId).lane
        : laneOf(service, findSource(service, project, endpointId, "inbound"));
  return { since, until, status, endpointId, direction, lane };
}

/** Expiry is a matter of the clock; the file goes with the next sweep. */
function stateOf({ state, expiresAt }: ExportRecord, service: Service): ExportRecord["state"] {
  return expiresAt !== null && expiresAt <= service.context.clock.now() ? "expired" : state;
}

function showExport(record: ExportRecord, service: Service) {
  const spec = JSON.parse(record.spec) as ExportSpec;
  const isInbound = spec.direction === "inbound";
  return {
    id: showUuid(record.id),
    project_id: showProject(record.project),
    status: stateOf(record, service),
    direction: spec.direction,
    filter_start_time: showTime(spec.since),
    filter_end_time: showTime(spec.until),
    filter_status: spec.status,
    filter_endpoint_id: isInbound ? null : spec.endpointId,
    filter_inbound_endpoint_id: isInbound ? spec.endpointId : null,
    row_count: record.rowCount,
    file_size_bytes: record.sizeBytes,
    error_message: record.error,
    created_at: showTime(record.createdAt),
    started_at: showOptionalTime(record.startedAt),
    completed_at: showOptionalTime(record.completedAt),
    expires_at: showOptionalTime(record.expiresAt),
  };
}

/** No key is asked for here: the link is the proof. */
export function createFilesDoor(service: Service, exports: Exports): Door {
  return {
    name: "HookBridge exports",
    claims: { main: [`${FILES_PATH}*`] },
    async handle(_request, context) {
      try {
        const id = exports.read(context.path.slice(FILES_PATH.length).replace(/\.csv$/, ""));
        if (id === null) throw new Fault("UNAUTHORIZED", "this link is not valid");
        if (id === "expired") throw new Fault("EXPORT_EXPIRED", "this link has expired; ask for another");
        const record = await service.context.exports.exportById(id);
        if (!record || stateOf(record, service) !== "completed") {
          throw new Fault("EXPORT_EXPIRED", "the export is no longer kept");
        }
        const headers = {
          "content-type": "text/csv; charset=utf-8",
          "content-disposition": `attachment; filename="export-${showUuid(id)}.csv"`,
        };
        return new Response(partsOf(service, id), { headers });
      } catch (error) {
        return answerFault(error, context, service.context.log);
      }
    },
  };
}

function partsOf(service: Service, id: string): ReadableStream<Uint8Array> {
  let number = 0;
  return new ReadableStream({
    async pull(controller) {
      const text = await service.context.exports.exportPart(id, number);
      number += 1;
      if (text === null) controller.close();
      else controller.enqueue(Buffer.from(text));
    },
  });
}
