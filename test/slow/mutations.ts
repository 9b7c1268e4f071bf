/**
 * Valid requests with something done to them, cheaply: every request is signed once, and a mutation is three
 * numbers.
 */

import type { HeaderReader } from "../../src/domain/signature/index.ts";
import { NOW_SECONDS } from "../domain/signature/requests.ts";
import { formText, type Scheme } from "../domain/signature/signers.ts";

/** A request before it is sent: a header may be there twice, under any spelling of its name. */
export interface Draft {
  body: Buffer;
  readonly headers: [name: string, value: string][];
}

/** A request as it was signed. */
interface Original {
  readonly body: Buffer;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly isFresh: boolean;
}

/** What to do, where, and with what; all numbers are taken modulo what there is. */
export type Mutation = readonly [kind: number, place: number, choice: number];

const HOUR_SECONDS = 3_600;

const JSON_TEXTS = [
  "1.0",
  '"\\u0000\\ud800"',
  "[[[[[]]]]]",
  '{"a":{"b":[1e999,-0,null]}}',
  "\ufeff{}",
] as const;
const FORM_TEXTS = [
  "a=1&b=2",
  "a=2&a=1&a=2&%62=+",
  "To=%2B1&Body=Gr%C3%BC%C3%9Fe+%F0%9F%98%80&Empty=",
] as const;

/** Bodies that differ in what matters to a verifier, fresh and stale. Those of Linear carry their time. */
export function originalsOf({ spec, sign, isForm }: Scheme): Original[] {
  const isTimeSigned = spec.scheme === "linear" || !Bun.deepEquals(sign("1", ""), sign("2", ""));
  const timed = (seconds: number) =>
    JSON.stringify({ type: "invoice.paid", note: "Zoë 😀", webhookTimestamp: seconds * 1_000 });
  const texts: readonly string[] = isForm ? FORM_TEXTS : JSON_TEXTS;
  return [0, -HOUR_SECONDS, HOUR_SECONDS].flatMap((skew) => {
    const seconds = NOW_SECONDS + skew;
    return [...(isForm ? [] : [timed(seconds)]), ...(skew === 0 ? texts : texts.slice(0, 1))].map((text) => ({
      body: Buffer.from(text),
      headers: Object.entries(sign(String(seconds), text)),
      isFresh: skew === 0 || !isTimeSigned,
    }));
  });
}

export function draftOf({ body, headers }: Original): Draft {
  return { body, headers: headers.map(([name, value]) => [name, value]) };
}

const HUGE = "9".repeat(16_000);
const ODD_VALUES = [
  "",
  " ",
  ",",
  "=",
  "t=,v1=",
  "ts=;h1=",
  "v1,",
  "v0=",
  "sha256=",
  "Basic ",
  "0",
  "-1",
  "1e9",
  "Infinity",
  "\u0000",
  "\ud800",
  "İ",
  "0".repeat(64),
  `${"A".repeat(43)}=`,
  "0".repeat(128),
  `${"A".repeat(86)}==`,
  `t=${HUGE},v1=${HUGE}`,
  "v1,AAAA ".repeat(2_000),
  HUGE,
] as const;
const ODD_BODIES = [
  "",
  "{",
  "null",
  "[]",
  '{"a":1,"a":2}',
  `{"webhookTimestamp":${HUGE}}`,
  "a=1&a",
  "%",
  "\u0000",
].map((text) => Buffer.from(text));
const ODD_CHARS = [" ", ",", ";", "=", "\t", "\u0000", "\u00ff", "\u0130", "A", "0", "+", "."] as const;

type Change = (draft: Draft, place: number, choice: number) => void;

function pick<Item>(items: readonly Item[], number: number): Item {
  return items[number % items.length] as Item;
}

/** Puts `bytes` in place of `count` bytes of the body. */
function spliceBody(draft: Draft, at: number, { count, bytes }: { count: number; bytes: Uint8Array }): void {
  draft.body = Buffer.concat([draft.body.subarray(0, at), bytes, draft.body.subarray(at + count)]);
}

/** Writes one header's value anew; `place` chooses the header and the character. */
function rewrite(draft: Draft, place: number, write: (value: string, at: number) => string): void {
  const header = draft.headers[place % Math.max(1, draft.headers.length)];
  if (header === undefined) return;
  const at = Math.floor(place / draft.headers.length) % (header[1].length + 1);
  header[1] = write(header[1], at);
}

const NOTHING = new Uint8Array();

const CHANGES: readonly Change[] = [
  function flipByteOfBody(draft, place, choice) {
    if (draft.body.length === 0) return;
    const at = place % draft.body.length;
    spliceBody(draft, at, { count: 1, bytes: Uint8Array.of((draft.body[at] ?? 0) ^ (choice % 255) ^ 255) });
  },
  function insertByte(draft, place, choice) {
    spliceBody(draft, place % (draft.body.length + 1), { count: 0, bytes: Uint8Array.of(choice) });
  },
  function deleteBytes(draft, place, choice) {
    spliceBody(draft, place % (draft.body.length + 1), { count: 1 + (choice % 4), bytes: NOTHING });
  },
  function replaceBody(draft, place) {
    draft.body = pick(ODD_BODIES, place);
  },
  function flipCharacter(draft, place, choice) {
    const mask = 1 + (choice % 0x17f);
    rewrite(draft, place, (value, at) => {
      const spoilt = String.fromCharCode(value.charCodeAt(at) ^ mask);
      return value.slice(0, at) + (at < value.length ? spoilt : "") + value.slice(at + 1);
    });
  },
  function insertCharacter(draft, place, choice) {
    rewrite(draft, place, (value, at) => value.slice(0, at) + pick(ODD_CHARS, choice) + value.slice(at));
  },
  function deleteCharacters(draft, place, choice) {
    rewrite(draft, place, (value, at) => value.slice(0, at) + value.slice(at + 1 + (choice % 3)));
  },
  function changeCaseOfValue(draft, place, choice) {
    rewrite(draft, place, (value) => (choice % 2 === 0 ? value.toUpperCase() : value.toLowerCase()));
  },
  function replaceValue(draft, place, choice) {
    rewrite(draft, place, () => pick(ODD_VALUES, choice));
  },
  function appendValue(draft, place, choice) {
    rewrite(draft, place, (value) => value + pick([",", ";", " ", ", "], place) + pick(ODD_VALUES, choice));
  },
  function changeNumber(draft, place, choice) {
    rewrite(draft, place, (value) =>
      value.replace(/\d{10}/, (digits) => String(Number(digits) + choice - 300)),
    );
  },
  function repeatValue(draft, place, choice) {
    rewrite(draft, place, (value) =>
      Array(2 + (choice % 40))
        .fill(value)
        .join(pick([",", " ", ", ", ";"], place)),
    );
  },
  function changeCaseOfName(draft, place, choice) {
    const header = draft.headers[place % Math.max(1, draft.headers.length)];
    if (header) header[0] = choice % 2 === 0 ? header[0].toUpperCase() : header[0].toLowerCase();
  },
  function dropHeader(draft, place) {
    draft.headers.splice(place % Math.max(1, draft.headers.length), 1);
  },
  function duplicateHeader(draft, place, choice) {
    const header = draft.headers[place % Math.max(1, draft.headers.length)];
    if (header) draft.headers.push([header[0], choice % 2 === 0 ? header[1] : pick(ODD_VALUES, choice)]);
  },
  function swapValues(draft, place, choice) {
    const one = draft.headers[place % Math.max(1, draft.headers.length)];
    const other = draft.headers[choice % Math.max(1, draft.headers.length)];
    if (one && other) [one[1], other[1]] = [other[1], one[1]];
  },
];

/** What takes something from another signed request; a replayed part is not a valid one. */
function borrow(draft: Draft, other: Original, choice: number): void {
  if (choice % 3 === 0) draft.body = other.body;
  else rewrite(draft, choice, () => pick(other.headers, choice)[1]);
}

export const KINDS = CHANGES.length + 1;

/** Applies the mutations, one after the other, to a copy of one of the originals. */
export function mutate(originals: readonly Original[], start: number, mutations: readonly Mutation[]): Draft {
  const draft = draftOf(pick(originals, start));
  for (const [kind, place, choice] of mutations) {
    const change = CHANGES[kind];
    if (change === undefined) borrow(draft, pick(originals, place), choice);
    else change(draft, place, choice);
  }
  return draft;
}

/** Reads headers as the platform does: any case, repeated ones joined, white space around them gone. */
export function readerOf({ headers }: Draft): HeaderReader {
  return {
    get: (wanted) => {
      const name = wanted.toLowerCase();
      const values = headers.filter(([one]) => one.toLowerCase() === name);
      return values.length === 0
        ? null
        : values.map(([, value]) => value.replace(/^[\t ]+|[\t ]+$/g, "")).join(", ");
    },
  };
}

/**
 * Whether a request that was accepted says what some fresh original said, told without the verifier: the same
 * body, the same time and id, and a signature, somewhere in its header, that is the original's.
 */
export function isLegitimate(scheme: Scheme, originals: readonly Original[], draft: Draft): boolean {
  const reader = readerOf(draft);
  return originals.some((original) => original.isFresh && isSame(scheme, original, { draft, reader }));
}

function isSame(
  { isForm, isBodyUnsigned }: Scheme,
  original: Original,
  { draft, reader }: { draft: Draft; reader: HeaderReader },
): boolean {
  const isBodySame = isForm
    ? formText(original.body.toString()) === formText(draft.body.toString())
    : isBodyUnsigned === true || original.body.equals(draft.body);
  return (
    isBodySame &&
    original.headers.every(([name, value]) => {
      const sent = reader.get(name) ?? "";
      if (name === "Content-Type") return sent.toLowerCase().startsWith(value);
      if (name === "Authorization") return readBasic(sent) === readBasic(value);
      return isSignature(name) ? holdsSignature(sent, value) : sent === value;
    })
  );
}

function isSignature(name: string): boolean {
  return /signature|hmac/i.test(name) && !/timestamp/i.test(name);
}

/** The digest of 27 or more characters is there whole; of several times beside it the last one counts. */
function holdsSignature(sent: string, value: string): boolean {
  const digests = value.match(/[A-Za-z0-9+/_-]{27,}={0,2}/g) ?? [];
  const [time = "", key = ""] = /^(ts?=)\d+/.exec(value) ?? [];
  const pairs = sent.split(value.includes(";") ? ";" : ",");
  const isTimeSame = time === "" || pairs.findLast((pair) => pair.startsWith(key)) === time;
  return isTimeSame && digests.every((digest) => sent.includes(digest));
}

/** RFC 7617: the name of the scheme in any case, the credentials whatever their base64 says. */
function readBasic(value: string): string {
  return Buffer.from(value.replace(/^basic +/i, ""), "base64").toString("latin1");
}
