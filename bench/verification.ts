/**
 * (k): what judging a request costs beside a bare HMAC (or Ed25519 check) of the same bytes. Both run in this
 * process, in turn, in slices of a few milliseconds of processor time; a ratio is made of two slices that
 * follow one another.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign, verify as verifyEd25519 } from "node:crypto";
import { signSample } from "../src/domain/sample/signing.ts";
import { prepareVerify, type SignedRequest, type VerifySpec } from "../src/domain/signature/index.ts";
import type { Bench } from "./bench.ts";
import { median } from "./statistics.ts";
import { aimAtMost, type Ratio, type Row } from "./table.ts";

const SIZES = [
  ["1 KiB", 1_024],
  ["64 KiB", 65_536],
  ["1 MiB", 1_048_576],
] as const;

const AIM = 1.3;
/** For the other sizes the numbers are only shown. */
const AIM_BYTES = 65_536;
const SLICE_US = 5_000;
const CALIBRATION_TURNS = 8;

const secrets = [{ value: "whsec_cG9zdGVybi1iZW5jaC1zaWduaW5nLXNlY3JldA==" }];
const NOW = Date.UTC(2026, 4, 1);
const URL_CALLED = "https://hooks.example.com/in/source";

/** Every scheme that covers the body; a token or a password costs the same whatever comes with it. */
const SPECS: readonly VerifySpec[] = [
  {
    scheme: "hmac",
    header: "X-Signature",
    algorithm: "sha256",
    encoding: "hex",
    template: "{timestamp}.{body}",
    timestampHeader: "X-Timestamp",
    secrets,
  },
  ...(
    [
      ...["standard", "svix", "stripe", "github", "shopify", "slack", "zoom", "paddle", "linear", "square"],
      ...["twilio", "hookbridge", "posthook", "pyfly"],
    ] as ("standard" | "twilio")[]
  ).map((scheme): VerifySpec => ({ scheme, secrets, publicUrl: URL_CALLED })),
];

interface Case {
  readonly name: string;
  readonly judge: () => boolean;
  /** The least that anybody would have to do. */
  readonly bare: () => unknown;
}

/** Emits a row per scheme and size. Throws when a signed request is refused: nothing would be measured. */
export function measureVerification(bench: Bench): Row[] {
  return SIZES.flatMap(([size, bytes]) => {
    const cases = [...SPECS.map((spec) => hmacCase(spec, bytes)), ...ed25519Cases(bytes)];
    bench.progress(`verification of ${size}`);
    return cases.map((one) => {
      bench.checkTime();
      return measureCase(one, { size, bytes, rounds: bench.durations.rounds });
    });
  });
}

function measureCase(
  { name, judge, bare }: Case,
  { size, bytes, rounds }: { size: string; bytes: number; rounds: number },
): Row {
  if (!judge()) throw new Error(`${name} refuses its own sample`);
  const [judgeTurns, bareTurns] = [turnsFor(judge), turnsFor(bare)];
  const costs = Array.from(
    { length: rounds },
    () => [costUs(judge, judgeTurns), costUs(bare, bareTurns)] as const,
  );
  const ratios = costs.map(([judged, least]) => judged / least);
  const ratio: Ratio = { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
  return {
    part: "k",
    what: `${name}, ${size}`,
    unit: "us",
    beside: median(costs.map(([, least]) => least)),
    value: median(costs.map(([judged]) => judged)),
    ratio,
    aim: bytes === AIM_BYTES ? aimAtMost(ratio.median, AIM) : null,
  };
}

/** Returns the processor time of one call, in microseconds. */
function costUs(run: () => unknown, turns: number): number {
  const before = process.cpuUsage();
  for (let turn = 0; turn < turns; turn += 1) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / turns;
}

/** How often to call it for a slice, found after it is warm. */
function turnsFor(run: () => unknown): number {
  for (let turns = CALIBRATION_TURNS; ; turns *= 2) {
    const spentUs = costUs(run, turns) * turns;
    if (spentUs >= SLICE_US) return turns;
  }
}

function hmacCase(spec: VerifySpec, bytes: number): Case {
  const isForm = spec.scheme === "twilio";
  const body = isForm ? formOf(bytes) : jsonOf(bytes);
  const request = { id: "msg_1", now: NOW, url: URL_CALLED, body };
  const form = isForm ? Object.fromEntries(new URLSearchParams(body.toString())) : null;
  const signature = signSample(spec, { ...request, form });
  if (signature === null) throw new Error(`there is no sample for ${spec.scheme}`);
  const type = isForm ? "application/x-www-form-urlencoded" : "application/json";
  const headers = new Headers([
    ["content-type", type],
    ...signature.headers.map(([name, value]) => [name, value] as [string, string]),
  ]);
  const algorithm = isForm ? "sha1" : "sha256";
  return {
    name: spec.scheme,
    judge: judgeOf(spec, { body, headers, url: URL_CALLED }),
    bare: () =>
      createHmac(algorithm, secrets[0]?.value ?? "")
        .update(body)
        .digest("hex"),
  };
}

function judgeOf(spec: VerifySpec, request: SignedRequest): () => boolean {
  const verifier = prepareVerify(spec);
  return () => verifier(request, NOW).ok;
}

function ed25519Cases(bytes: number): Case[] {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const body = jsonOf(bytes);
  const time = String(NOW / 1_000);
  const signed = (prefix: string) => sign(null, Buffer.concat([Buffer.from(prefix), body]), privateKey);
  const bare = bareEd25519(publicKey, body, sign(null, body, privateKey));
  const request = (headers: Readonly<Record<string, string>>) => ({
    body,
    headers: new Headers(headers),
    url: URL_CALLED,
  });
  return [
    {
      name: "standard-ed25519",
      judge: judgeOf(
        { scheme: "standard-ed25519", secrets: [{ value: `whpk_${raw.toString("base64")}` }] },
        request({
          "webhook-id": "msg_1",
          "webhook-timestamp": time,
          "webhook-signature": `v1a,${signed(`msg_1.${time}.`).toString("base64")}`,
        }),
      ),
      bare,
    },
    {
      name: "discord",
      judge: judgeOf(
        { scheme: "discord", secrets: [{ value: raw.toString("hex") }] },
        request({ "x-signature-ed25519": signed(time).toString("hex"), "x-signature-timestamp": time }),
      ),
      bare,
    },
  ];
}

function bareEd25519(key: KeyObject, body: Uint8Array, signature: Uint8Array): () => unknown {
  return () => verifyEd25519(null, body, key, signature);
}

/** An object of many small members, as events are, and of exactly that size. */
function jsonOf(bytes: number): Buffer {
  const head = `{"type":"invoice.paid","webhookTimestamp":${NOW},"lines":[`;
  const line = (index: number) => `{"id":"il_${index}","amount":${index * 7},"currency":"eur","paid":true}`;
  let text = head + line(0);
  for (let index = 1; text.length + line(index).length + 3 <= bytes; index += 1) text += `,${line(index)}`;
  return Buffer.from(`${text}]}`.padEnd(bytes, " "));
}

function formOf(bytes: number): Buffer {
  let text = "AccountSid=AC1";
  for (let index = 1; text.length < bytes; index += 1)
    text += `&Field${index}=some+text+of+an+ordinary+length`;
  return Buffer.from(text.slice(0, bytes));
}
