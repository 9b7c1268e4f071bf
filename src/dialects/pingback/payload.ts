/** What came in through a source, as the payload of a function: its JSON, else its text, else its bytes. */
import { parseJson, writeJson } from "./json.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Returns JSON text, or nothing for no bytes at all. Bytes that are no text come in base64. */
export function payloadOfEvent(body: Uint8Array): string {
  if (body.byteLength === 0) return "";
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    return writeJson({ base64: Buffer.from(body).toString("base64") });
  }
  try {
    return writeJson(parseJson(text));
  } catch {
    return writeJson(text);
  }
}
