/** Suspicions about the URL, where a scheme signs it: the sender called another one than is configured. */
import type { SignedRequest } from "../signature/index.ts";
import type { Suspect, Trial } from "./types.ts";

interface UrlChange {
  readonly change: string;
  /** Completes "The signature matches the URL ...". */
  readonly words: string;
  /** Returns the URL itself, or null, when there is nothing to change. */
  readonly apply: (url: string, request: SignedRequest) => string | null;
}

const CHANGES: readonly UrlChange[] = [
  {
    change: "https",
    words: "with https in place of http",
    apply: (url) => url.replace(/^http:/i, "https:"),
  },
  {
    change: "http",
    words: "with http in place of https",
    apply: (url) => url.replace(/^https:/i, "http:"),
  },
  {
    change: "slash_added",
    words: "with a slash at the end of its path",
    apply: (url) => url.replace(/^([^?]*[^/?])(\?|$)/, "$1/$2"),
  },
  {
    change: "slash_removed",
    words: "without the slash at the end of its path",
    apply: (url) => url.replace(/^([^?]*[^/?])\/(\?|$)/, "$1$2"),
  },
  {
    change: "port_added",
    words: "with its port written out",
    apply: (url) => url.replace(/^(https?):\/\/([^/?:]+)(?=[/?]|$)/i, addPort),
  },
  {
    change: "port_removed",
    words: "without its port",
    apply: (url) => url.replace(/^(https?:\/\/[^/?:]+):\d+/i, "$1"),
  },
  {
    change: "query_added",
    words: "with the query that the request has",
    apply: (url, request) => (url.includes("?") ? null : url + queryOf(request.url)),
  },
  {
    change: "query_removed",
    words: "without its query",
    apply: (url) => url.split("?", 1)[0] ?? null,
  },
  {
    change: "host",
    words: "of the host that the request names",
    apply: (_url, request) => requestedUrl(request),
  },
];

export function* otherUrls({ spec, secrets, request }: Suspect): Iterable<Trial> {
  if (spec.scheme !== "twilio" && spec.scheme !== "square" && spec.scheme !== "hmac") return;
  const url = spec.publicUrl ?? requestedUrl(request);
  if (url === null) return;
  if (spec.scheme === "hmac" && spec.publicUrl === undefined) return;
  for (const { change, words, apply } of CHANGES) {
    const publicUrl = apply(url, request);
    if (publicUrl === null || publicUrl === spec.publicUrl) continue;
    const sentence = `The signature matches the URL ${words}: set public_url to what the sender calls.`;
    yield {
      spec: { ...spec, secrets, publicUrl },
      request,
      finding: { code: "other_url", sentence, change },
    };
  }
}

/** The URL as the sender has probably called it. */
function requestedUrl({ headers, url }: SignedRequest): string | null {
  if (!url.startsWith("/")) return url;
  const host = headers.get("x-forwarded-host") ?? headers.get("host");
  return host ? `https://${host}${url}` : null;
}

function queryOf(url: string): string {
  const start = url.indexOf("?");
  return start === -1 ? "" : url.slice(start);
}

function addPort(_match: string, protocol: string, host: string): string {
  return `${protocol}://${host}:${protocol.toLowerCase() === "https" ? 443 : 80}`;
}
