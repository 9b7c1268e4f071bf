/**
 * POST /cb/<token>: a receiver reports on a delivery that it took with a 202. No key: the token is the proof.
 * GET and HEAD change nothing, whoever follows a link that ended up in a log or a chat.
 */
import { showId } from "../domain/id.ts";
import type { Acknowledgements, ReportResult } from "../runtime/acknowledgements.ts";
import type { BodyReader } from "./body.ts";
import type { Door, RequestContext } from "./door.ts";
import { answerFailure, type Failure, methodNotAllowed } from "./errors.ts";

export interface CallbackDoorOptions {
  readonly acknowledgements: Acknowledgements;
  readonly bodies: BodyReader;
}

/** More of a report than this is not read; what is kept of it is far less. */
const BODY_BYTES_MAX = 65_536;

export function createCallbackDoor({ acknowledgements, bodies }: CallbackDoorOptions): Door {
  const claims = ["/cb/*"];
  return {
    name: "callbacks",
    claims: { main: claims, ingest: claims },
    async handle(request, context) {
      if (request.method !== "POST") throw methodNotAllowed(["POST"]);
      // What the receiver decided counts even when its explanation is too long or breaks off.
      const body = await bodies.read(request, BODY_BYTES_MAX);
      const text = typeof body === "string" ? new Uint8Array(0) : body;
      const result = await acknowledgements.report(context.path, text);
      const foreign = "profile" in result ? acknowledgements.answerOf(result)?.(result) : undefined;
      if (foreign !== undefined) return Response.json(foreign.body, { status: foreign.status });
      return answerReport(result, context);
    },
  };
}

function answerReport(result: ReportResult, context: RequestContext): Response {
  const refuse = (failure: Failure) => answerFailure(failure, context);
  switch (result.kind) {
    case "applied":
    case "repeated": {
      const { deliveryId, attempt, isAck, state } = result;
      const report = isAck ? "ack" : "nack";
      return Response.json({ deliveryId: showId("delivery", deliveryId), attempt, report, state });
    }
    case "invalid":
      return refuse({ status: 401, code: "invalid_token", message: "this is no callback URL of ours" });
    case "unknown":
      return refuse({ status: 404, code: "not_found", message: "the delivery is no longer kept" });
    case "superseded":
      return refuse({ status: 409, code: "superseded", message: "a later attempt has begun" });
    case "resolved": {
      const message = `the attempt has ended otherwise; the delivery is ${result.state}`;
      return refuse({ status: 409, code: "already_resolved", message });
    }
    case "expired":
      return refuse({ status: 410, code: "expired", message: "the deadline of this report has passed" });
    default:
      return result satisfies never;
  }
}
