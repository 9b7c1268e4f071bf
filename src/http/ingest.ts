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
/** Providers come back on their own schedule; this keeps the eager ones from hammering a paused source. */
const PAUSED_RETRY_AFTER_MS = 60_000;
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
      const bytesMax = source.bodyBytesMax ?? bodyBytesMax;
      const body = await bodies.read(request, bytesMax);
      const inbound = {
        method: request.method,
        url: context.path + context.search,
        headers: request.headers,
        remoteAddress: context.clientAddress,
      };
      if (body === "too_large") {
        const detail = `the body is larger than the ${bytesMax} bytes that this source takes`;
        const refused = ingest.refuse(
          source,
          { reason: "body_too_large", detail },
          { ...inbound, body: null },
        );
        return answerResult(refused, { source, context, options });
      }
      if (body === "too_slow") throw new AppError("request_timeout", "the body did not arrive in time");
      if (body === "broken") throw new AppError("invalid_request", "the body broke off");
      const result = await ingest.receive(source, { ...inbound, body });
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
  if (result.kind === "accepted") {
    const { status } = result;
    if (BODILESS_STATUS.has(status)) return new Response(null, { status });
    // All three values are of our own making and need no escaping.
    const receipt =
      `{"id":"${showId("event", result.id)}","duplicate":${result.isDuplicate},` +
      `"durability":"${options.durability}"}`;
    return new Response(receipt, { status, headers: JSON_HEADERS });
  }
  const { status, reason, detail } = result;
  const headers: Record<string, string> = status === 405 ? { allow: source.methods.join(", ") } : {};
  const retryAfterMs = reason === "paused" ? PAUSED_RETRY_AFTER_MS : undefined;
  return answerFailure({ status, code: reason, message: detail, headers, retryAfterMs }, context);
}
