/**
 * JSON that keeps its text. A parsed value is not what the caller wrote: integers beyond 2^53 lose digits and
 * 1.0 becomes 1. Whoever passes a part of a request on finds here the bytes of that part, as they came.
 *
 * Reading is strict (RFC 8259): UTF-8 without a byte order mark, one value and nothing after it, and no
 * deeper than DEPTH_MAX. A member that stands twice in an object whose members are asked for is refused: two
 * readers of the same body would otherwise see two different requests.
 */
import { AppError } from "./errors.ts";

/** Byte offsets of a value, without the white space around it. */
export interface Span {
  readonly start: number;
  /** The first byte after it. */
  readonly end: number;
}

/** Deeper than any request means to be, far from what would exhaust the stack of a recursive reader. */
export const DEPTH_MAX = 128;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

export class JsonText {
  readonly bytes: Uint8Array;
  /** All of it, parsed: what a schema is checked against. */
  readonly value: unknown;
  readonly root: Span;

  private constructor(bytes: Uint8Array, value: unknown) {
    this.bytes = bytes;
    this.value = value;
    this.root = { start: skipBlank(bytes, 0), end: trimmedEnd(bytes) };
  }

  /** Reads a body. Throws `invalid_request` for anything but one JSON value. */
  static read(bytes: Uint8Array): JsonText {
    if (depthOf(bytes) > DEPTH_MAX) {
      throw new AppError("invalid_request", `the body nests deeper than ${DEPTH_MAX} levels`);
    }
    try {
      return new JsonText(bytes, JSON.parse(utf8.decode(bytes)));
    } catch (cause) {
      throw new AppError("invalid_request", "the body is no JSON", { cause });
    }
  }

  /** Where the members of an object stand, in their order. Throws `invalid_request` for anything else. */
  members(of: Span = this.root): ReadonlyMap<string, Span> {
    const { bytes } = this;
    if (bytes[of.start] !== OPEN_OBJECT) throw new AppError("invalid_request", "a JSON object is expected");
    const members = new Map<string, Span>();
    let at = skipBlank(bytes, of.start + 1);
    while (bytes[at] === QUOTE) {
      const nameEnd = endOfString(bytes, at);
      const name = JSON.parse(utf8.decode(bytes.subarray(at, nameEnd))) as string;
      if (members.has(name)) {
        throw new AppError("invalid_request", `the member ${JSON.stringify(name)} stands twice`);
      }
      // Between name and value stands nothing but a colon and white space.
      const start = skipBlank(bytes, skipBlank(bytes, nameEnd) + 1);
      const end = endOfValue(bytes, start);
      members.set(name, { start, end });
      at = nextItem(bytes, end);
    }
    return members;
  }

  /** Where the items of a list stand. Throws `invalid_request` for anything else. */
  items(of: Span = this.root): readonly Span[] {
    const { bytes } = this;
    if (bytes[of.start] !== OPEN_LIST) throw new AppError("invalid_request", "a JSON list is expected");
    const items: Span[] = [];
    let at = skipBlank(bytes, of.start + 1);
    while (bytes[at] !== CLOSE_LIST) {
      const end = endOfValue(bytes, at);
      items.push({ start: at, end });
      at = nextItem(bytes, end);
    }
    return items;
  }

  /** The bytes of a part, shared with the body. */
  slice({ start, end }: Span): Uint8Array {
    return this.bytes.subarray(start, end);
  }

  text(span: Span): string {
    return utf8.decode(this.slice(span));
  }
}

/** Everything below runs on bytes that are JSON; depthOf alone has to bear anything. */
function depthOf(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at) - 1;
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth -= 1;
  }
  return deepest;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function skipBlank(bytes: Uint8Array, from: number): number {
  let at = from;
  while (isBlank(bytes[at])) at += 1;
  return at;
}

function trimmedEnd(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && isBlank(bytes[end - 1])) end -= 1;
  return end;
}

/** The first byte after a string that begins at `from`. No byte of a longer UTF-8 sequence is a quote. */
function endOfString(bytes: Uint8Array, from: number): number {
  let at = from + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}

function endOfValue(bytes: Uint8Array, from: number): number {
  const first = bytes[from];
  if (first === QUOTE) return endOfString(bytes, from);
  if (first !== OPEN_OBJECT && first !== OPEN_LIST) return endOfWord(bytes, from);
  let depth = 0;
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at) - 1;
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return bytes.length;
}

/** A number, true, false or null. */
function endOfWord(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_LIST || isBlank(byte)) break;
    at += 1;
  }
  return at;
}

function nextItem(bytes: Uint8Array, from: number): number {
  const at = skipBlank(bytes, from);
  return bytes[at] === COMMA ? skipBlank(bytes, at + 1) : at;
}
