/**
 * POST /in/<source>: the native ingest door. The hot path of the product, so it does without a framework: the
 * name is cut from the path, the bytes are read once, and runtime/ingest.ts decides. The answer leaves after
 * the commit.
 */
import { AppError } from "../domain/errors.ts";
import { showId } from "../domain/id.ts";
import type { Source } from "../domain/source.ts";
import type { Ingest, IngestResult } from "../runtime/ingest.ts";
import type { BodyReader } from "./body.ts";
import type { Door, RequestContext } from "./door.ts";
import { answerFailure } from "./errors.ts";
import { answerChallenge, receiveInbound } from "./inbound.ts";

export interface IngestDoorOptions {
  readonly ingest: Ingest;
  readonly bodies: BodyReader;
  /** For sources without a limit of their own. */
  readonly bodyBytesMax: number;
  /** Told to the producer: what a 2xx is worth. */
  readonly durability: "fsync" | "relaxed";
}

const PREFIX = "/in/";
const JSON_HEADERS = { "content-type": "application/json" };
const TEXT_HEADERS = { "content-type": "text/plain; charset=utf-8" };
/** These must not have a body (RFC 9110 sections 15.3.5 and 15.3.6). */
const BODILESS_STATUS: ReadonlySet<number> = new Set([204, 205]);

export function createIngestDoor(options: IngestDoorOptions): Door {
  const { ingest, bodies, bodyBytesMax } = options;
  const claims = [`${PREFIX}*`];
  return {
    name: "ingest",
    claims: { main: claims, ingest: claims },
    async handle(request, context) {
      const source = ingest.source(context.path.slice(PREFIX.length));
      if (!source) throw new AppError("not_found", "there is no source of this name");
      const result = await receiveInbound(request, context, { source, ingest, bodies, bodyBytesMax });
      return answerResult(result, { source, context, options });
    },
  };
}

interface AnswerInput {
  readonly source: Source;
  readonly context: RequestContext;
  readonly options: IngestDoorOptions;
}

function answerResult(result: IngestResult, { source, context, options }: AnswerInput): Response {
  if (result.kind === "challenged") return answerChallenge(result);
  if (result.kind === "accepted") return answerAccepted(result, source, options.durability);
  const { status, reason, detail, retryAfterMs } = result;
  const headers: Record<string, string> = status === 405 ? { allow: source.methods.join(", ") } : {};
  return answerFailure({ status, code: reason, message: detail, headers, retryAfterMs }, context);
}

function answerAccepted(
  { id, isDuplicate, status }: Extract<IngestResult, { kind: "accepted" }>,
  { respond: { headers, body } }: Source,
  durability: IngestDoorOptions["durability"],
): Response {
  if (BODILESS_STATUS.has(status)) return new Response(null, { status, headers });
  if (body !== null) return new Response(body, { status, headers: withOwn(headers, TEXT_HEADERS) });
  // All three values are of our own making and need no escaping.
  const receipt = `{"id":"${showId("event", id)}","duplicate":${isDuplicate},"durability":"${durability}"}`;
  return new Response(receipt, { status, headers: withOwn(headers, JSON_HEADERS) });
}

/** Most sources set no headers of their own, and then the same object serves every answer. */
function withOwn(
  own: Readonly<Record<string, string>>,
  usual: Record<string, string>,
): Record<string, string> | Headers {
  for (const _ in own) {
    const headers = new Headers(usual);
    for (const name in own) headers.set(name, own[name] ?? "");
    return headers;
  }
  return usual;
}
