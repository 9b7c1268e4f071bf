/** JSON bodies of native routes: read within bounds, checked strictly, refused when they mean nothing. */
import type { Static, TObject } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { AppError } from "../../domain/errors.ts";
import { JsonText } from "../../domain/json-span.ts";
import type { BodyReader } from "../body.ts";

/** Room for the longest list of ids that any route takes. */
export const BODY_BYTES_MAX = 65_536;

/** What stands for a body that is not there. */
export const NO_PAYLOAD: JsonText = JsonText.read(Buffer.from("{}"));

/** Returns the JSON of a body; an absent one is the empty object. Throws AppErrors. */
export async function readPayload(request: Request, bodies: BodyReader, bytesMax: number): Promise<JsonText> {
  const body = await bodies.read(request, bytesMax);
  if (body === "too_large") {
    throw new AppError("body_too_large", `this path takes a body of at most ${bytesMax} bytes`);
  }
  if (body === "too_slow") throw new AppError("request_timeout", "the body did not arrive in time");
  if (body === "broken") throw new AppError("invalid_request", "the body broke off");
  return body.byteLength === 0 ? NO_PAYLOAD : JsonText.read(body);
}

/** Compiles the check of a body once. It throws invalid_request for anything the schema does not know. */
export function createPayloadCheck<B extends TObject>(schema: B): (value: unknown) => Static<B> {
  const check = TypeCompiler.Compile(schema);
  return (value) => {
    if (check.Check(value)) return value;
    const fault = check.Errors(value).First();
    const path = fault?.path ?? "";
    const where = path === "" ? "the body" : `the member "${path.slice(1)}" of the body`;
    throw new AppError("invalid_request", `${where} is wrong: ${fault?.message ?? "unreadable"}`, {
      details: { path, known: Object.keys(schema.properties) },
    });
  };
}

/**
 * For the routes that take no payload: some clients send an empty object anyway. Anything else was meant to
 * do something that would not happen, so it is refused.
 */
export function checkNoPayload(value: unknown): void {
  const isEmptyObject =
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
  if (!isEmptyObject) throw new AppError("invalid_request", "this path takes no body, or an empty object");
}
