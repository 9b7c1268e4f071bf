/**
 * JSON as Pingback carries it: some SDKs sign the parsed body written again (pingback.md section 1,
 * requirement 11), and whole numbers keep their digits (section 3.3).
 */
export { parseJson, writeJson } from "../../domain/exact-json.ts";

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
