/** What inbound and pull endpoints share: how they are found, made, shown and retired as engine sources. */
import { pullLane } from "../../domain/delivery.ts";
import type { Source } from "../../domain/source.ts";
import { answerData, Fault } from "./answer.ts";
import { DOOR, readSourceExtra, type SourceExtra } from "./objects.ts";
import type { Call, Route } from "./router.ts";
import { PAYLOAD_BYTES_MAX } from "./send.ts";
import { readObjectId, type Service } from "./service.ts";
import { showUuid } from "./wire.ts";

export type Family = "inbound" | "pull";

/** Where requests come in; below it stand the endpoint's id and its secret. */
export const RECEIVE_PATH = "/v1/webhooks/receive/";

function familyOf({ mode }: SourceExtra): Family {
  return mode === "pull" ? "pull" : "inbound";
}

/** Living ones of a project, the newest first. */
export function sourcesOf(service: Service, project: string, family: Family): Source[] {
  return service.context.directory
    .sources()
    .filter((source) => source.door === DOOR && source.project === project)
    .filter((source) => familyOf(readSourceExtra(source)) === family)
    .reverse();
}

/** Throws NOT_FOUND, also for what is no id at all. */
export function findSource(service: Service, project: string, text: string, family: Family): Source {
  const id = readObjectId(text, `${family} endpoint`);
  const source = service.context.directory.source(id);
  const isOurs =
    source?.door === DOOR &&
    source.project === project &&
    source.deletedAt === null &&
    familyOf(readSourceExtra(source)) === family;
  if (!source || !isOurs) throw new Fault("NOT_FOUND", `no such ${family} endpoint`);
  return source;
}

/** The lane of what it takes in: its target's, or its own when nothing is sent from it. */
export function laneOf(service: Service, source: Source): number {
  const { endpointId } = readSourceExtra(source);
  const endpoint = endpointId === null ? undefined : service.context.directory.endpoint(endpointId);
  return endpoint?.lane ?? pullLane(source.seq);
}

/** The source behind a lane, retired ones included. */
export function sourceOfLane(service: Service, lane: number): Source | undefined {
  const { directory } = service.context;
  if (lane < 0) return directory.sourceOfSeq(-lane);
  const endpoint = directory.endpointOfLane(lane);
  if (endpoint?.extra === undefined) return undefined;
  const { sourceId } = JSON.parse(endpoint.extra) as { readonly sourceId?: string };
  return sourceId === undefined ? undefined : directory.source(sourceId);
}

/** Built from the configured URL, never from a request's Host header. */
export function ingestUrl(service: Service, source: Source): string {
  return `${service.context.publicUrl}${RECEIVE_PATH}${showUuid(source.id)}/${source.secret ?? ""}`;
}

type SourceDraft = Parameters<Service["context"]["sources"]["put"]>[0];

/** The parts of a definition that no request can set. */
export function sourceBase(id: string, project: string, secret: string) {
  return {
    ...{ id, project, name: `${DOOR}-${id}`, door: DOOR, secret },
    challenge: null,
    rate: null,
    whilePaused: "refuse",
    methods: ["POST"],
    bodyBytesMax: PAYLOAD_BYTES_MAX,
  } satisfies Partial<SourceDraft>;
}

export function changeSource(
  service: Service,
  source: Source,
  { extra, ...change }: Partial<Omit<Source, "extra">> & { readonly extra: SourceExtra },
): Promise<Source> {
  const { seq: _seq, pausedAt: _paused, createdAt: _created, ...rest } = source;
  const { updatedAt: _updated, deletedAt: _deleted, ...definition } = rest;
  return service.context.sources.put({ ...definition, ...change, extra: JSON.stringify(extra) });
}

/** Pause and resume, alike for both kinds. */
export function pauseRoutes(service: Service, path: string, family: Family): Route[] {
  const set = (isPaused: boolean) => async (call: Call) => {
    const source = findSource(service, call.project, call.param("id"), family);
    await service.context.commands.setSourcePaused(source, isPaused);
    return answerData(call.context, { id: showUuid(source.id), paused: isPaused });
  };
  return [
    { method: "POST", path: `${path}/:id/pause`, run: set(true) },
    { method: "POST", path: `${path}/:id/resume`, run: set(false) },
  ];
}
