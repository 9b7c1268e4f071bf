/**
 * Sample events: what a provider would send to a source, signed so that the source accepts it. `trigger`
 * sends them, for trying out a source without its provider.
 */
import { AppError } from "../errors.ts";
import type { VerifySpec } from "../signature/index.ts";
import * as commerce from "./commerce.ts";
import * as generic from "./generic.ts";
import { type SampleRequest, type SampleSignature, signSample } from "./signing.ts";
import type { SampleContent, SampleSeed, SampleShape } from "./types.ts";
import * as workplace from "./workplace.ts";

const SHAPES = {
  stripe: commerce.stripe,
  github: workplace.github,
  gitlab: workplace.gitlab,
  shopify: commerce.shopify,
  slack: workplace.slack,
  twilio: workplace.twilio,
  paddle: commerce.paddle,
  linear: workplace.linear,
  zoom: workplace.zoom,
  square: commerce.square,
  standard: generic.standard,
  svix: generic.standard,
  hookbridge: generic.hookbridge,
  posthook: generic.posthook,
  pyfly: generic.plain,
  plain: generic.plain,
} as const satisfies Record<string, SampleShape>;

export type SamplePreset = keyof typeof SHAPES;

export interface SampleInput {
  readonly preset: SamplePreset;
  readonly type: string;
  /** The rules of the source: the sample satisfies all of them, with their first valid secrets. */
  readonly verify: readonly VerifySpec[];
  /** Any text. All ids in the sample follow from it. */
  readonly id: string;
  /** Wall time in epoch milliseconds. */
  readonly now: number;
  /** The URL that will be called. */
  readonly url: string;
}

export interface Sample {
  readonly method: "POST";
  /** The URL given, with a token where the source wants one in the query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type SampleResult =
  | { readonly ok: true; readonly sample: Sample }
  /** `detail` is one sentence, safe to show. */
  | { readonly ok: false; readonly detail: string };

/** Every preset with the types that its provider sends, the default first. */
export function samplePresets(): readonly {
  readonly preset: SamplePreset;
  readonly types: readonly string[];
}[] {
  return (Object.keys(SHAPES) as SamplePreset[]).map((preset) => ({ preset, types: SHAPES[preset].types }));
}

/** Reads "stripe:invoice.paid", or "stripe" for its default type; null when there is no such preset. */
export function readSampleName(
  text: string,
): { readonly preset: SamplePreset; readonly type: string } | null {
  const colon = text.indexOf(":");
  const preset = colon === -1 ? text : text.slice(0, colon);
  if (!isPreset(preset)) return null;
  const type = colon === -1 ? "" : text.slice(colon + 1);
  return { preset, type: type === "" ? (SHAPES[preset].types[0] ?? "sample") : type };
}

/** Returns the sample, or why there can be none. Never throws. */
export function sampleEvent(input: SampleInput): SampleResult {
  const { preset, type, verify } = input;
  // The type becomes part of header values.
  if (!/^[\x21-\x7e]{1,128}$/.test(type)) {
    return { ok: false, detail: "A type is 1 to 128 printable characters without a space." };
  }
  const content = SHAPES[preset].make(seedOf(input));
  const [contentType, body] = bodyOf(content);
  const headers: Record<string, string> = { "Content-Type": contentType, ...content.headers };
  let { url } = input;
  for (const spec of verify) {
    const request = {
      id: input.id,
      now: input.now,
      url,
      body: Buffer.from(body),
      form: content.form ?? null,
    };
    const signature = trySign(spec, request);
    if (signature === null) {
      const detail = `A "${preset}" sample cannot be signed for scheme "${spec.scheme}" as configured.`;
      return { ok: false, detail };
    }
    for (const [name, value] of signature.headers) headers[name] = value;
    if (signature.query !== undefined) url = withParameter(url, signature.query);
  }
  return { ok: true, sample: { method: "POST", url, headers, body } };
}

function isPreset(name: string): name is SamplePreset {
  return Object.hasOwn(SHAPES, name);
}

function seedOf({ type, id, now }: SampleInput): SampleSeed {
  const hex = new Bun.CryptoHasher("sha256").update(id).digest("hex").slice(0, 32);
  const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return { type, hex, uuid, number: Number.parseInt(hex.slice(0, 11), 16), at: now };
}

function bodyOf({ json, form }: SampleContent): readonly [contentType: string, body: string] {
  if (form === undefined) return ["application/json", JSON.stringify(json)];
  return ["application/x-www-form-urlencoded", new URLSearchParams({ ...form }).toString()];
}

function trySign(spec: VerifySpec, request: SampleRequest): SampleSignature | null {
  try {
    return signSample(spec, request);
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

function withParameter(url: string, [name, value]: readonly [string, string]): string {
  const parameter = new URLSearchParams([[name, value]]).toString();
  return `${url}${url.includes("?") ? "&" : "?"}${parameter}`;
}
