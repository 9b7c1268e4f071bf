/** Suspicions about the body: the bytes that were signed are not those that arrived. */
import { jsonForms } from "./json-forms.ts";
import type { Finding, Suspect, Trial } from "./types.ts";

interface BodyChange {
  readonly change: string;
  /** Completes "The signature matches the body ...". */
  readonly words: string;
  /** On the bytes as Latin-1, where every byte is one character. */
  readonly apply: (text: string) => string;
}

const CHANGES: readonly BodyChange[] = [
  {
    change: "trailing_newline_removed",
    words: "without the newline at its end",
    apply: (text) => text.replace(/\r?\n$/, ""),
  },
  { change: "trailing_newline_added", words: "with a newline at its end", apply: (text) => `${text}\n` },
  {
    change: "crlf_to_lf",
    words: "with bare line feeds in place of CR LF",
    apply: (text) => text.replaceAll("\r\n", "\n"),
  },
  {
    change: "lf_to_crlf",
    words: "with CR LF in place of bare line feeds",
    apply: (text) => text.replace(/\r?\n/g, "\r\n"),
  },
  {
    change: "trailing_crlf_added",
    words: "with CR LF at its end",
    apply: (text) => `${text}\r\n`,
  },
  { change: "trimmed", words: "without the white space around it", apply: trim },
  {
    change: "byte_order_mark_removed",
    words: "without the byte order mark at its start",
    apply: (text) => (text.startsWith("\u00ef\u00bb\u00bf") ? text.slice(3) : text),
  },
];

const REWRITTEN =
  "something between signing and arrival rewrote it, at the sender, in a proxy, or in a copy by hand";

export function* bodyChanges({ spec, secrets, request }: Suspect): Iterable<Trial> {
  const base = { ...spec, secrets };
  const own = Buffer.from(request.body).toString("latin1");
  const seen = new Set([own]);
  for (const { change, words, apply } of CHANGES) {
    const text = apply(own);
    if (seen.has(text)) continue;
    seen.add(text);
    const sentence = `The signature matches the body ${words}: ${REWRITTEN}.`;
    const finding: Finding = { code: "body_changed", sentence, change };
    yield { spec: base, request: { ...request, body: Buffer.from(text, "latin1") }, finding };
  }
  if (seen.has("")) return;
  const sentence =
    "The signature is that of an empty body: the sender signed before there was one, or after it was read.";
  yield {
    spec: base,
    request: { ...request, body: new Uint8Array(0) },
    finding: { code: "empty_body_signed", sentence },
  };
}

export function* jsonBodies({ spec, secrets, request }: Suspect): Iterable<Trial> {
  const base = { ...spec, secrets };
  for (const { name, words, text } of jsonForms(request.body)) {
    const sentence =
      `The signature matches the same JSON written ${words}: a framework serialized the body again after ` +
      "it was signed. Sign and send the same bytes.";
    yield {
      spec: base,
      request: { ...request, body: Buffer.from(text) },
      finding: { code: "body_reserialized", sentence, form: name },
    };
  }
}

/** Only ASCII white space: to String.trim the byte 0xa0, which ends many UTF-8 characters, is a space too. */
function trim(text: string): string {
  const start = text.search(/[^\t\n\v\f\r ]/);
  let end = text.length;
  while (end > 0 && /[\t\n\v\f\r ]/.test(text[end - 1] ?? "")) end -= 1;
  return start === -1 ? "" : text.slice(start, end);
}
