/**
 * One outbound HTTP attempt: from a finished request to a response or a named failure. Never throws, never
 * follows a redirect, never retries, holds at most the capture limit of an answer, and ends by its deadline
 * whatever the receiver does. The deadline covers lookup, connection, headers and body: a body that it cuts
 * is a failure, because half an answer must not be interpreted as a whole one.
 *
 * Names are resolved and checked by egress.ts; the request then goes to the checked address, with the name in
 * `Host` and in the TLS server name. Bun keeps and reuses the sockets, per address, port and TLS options.
 */
import { isIP } from "node:net";
import { version } from "../../package.json" with { type: "json" };
import type { ClientTls } from "../domain/endpoint.ts";
import { type AttemptDeadline, AttemptDeadlines } from "./attempt-deadlines.ts";
import type { Clock } from "./clock.ts";
import { type Egress, hostOf } from "./egress.ts";

export interface SendRequest {
  method: string;
  url: string;
  headers: Headers;
  body: Uint8Array | null;
  /** For everything from the lookup to the last byte of the answer. */
  timeoutMs: number;
  /** More of the body than this is neither kept nor read. */
  captureBytesMax: number;
  /** False for targets that an API made: private addresses then need a rule. */
  isTrusted: boolean;
  /** In place of the general rule for what may be reached although private. */
  allowPrivate?: readonly string[] | null;
  /** In place of the general proxy; "" for none. */
  proxy?: string | null;
  /** For receivers that ask for a client certificate. */
  tls?: ClientTls | null;
}

export type SendFailure =
  | "dns"
  | "blocked"
  | "connect"
  | "tls"
  | "timeout"
  | "reset"
  | "protocol"
  | "aborted";

export type SendResult =
  | {
      kind: "response";
      status: number;
      headers: Headers;
      /** As on the wire: a content coding is not undone. */
      body: Uint8Array;
      isBodyTruncated: boolean;
      durationMs: number;
      /** What was connected to; null when that is `localhost`. */
      address: string | null;
    }
  | { kind: "error"; reason: SendFailure; text: string; durationMs: number; address: string | null };

export interface Sender {
  /**
   * Makes one attempt and returns what came of it; never rejects. The headers become the sender's to change.
   */
  send(request: SendRequest): Promise<SendResult>;
  /** Ends every attempt in flight with `aborted`. */
  abortAll(): void;
}

interface SenderDeps {
  clock: Clock;
  egress: Egress;
  /** PEM certificates to trust in place of the built-in authorities. */
  ca?: readonly string[];
  /**
   * An HTTP proxy for everything that is not this machine. It is told the checked address, never the name.
   */
  proxy?: string | null;
}

const USER_AGENT = `Postern/${version}`;
/** Bun turns a method that it does not know into GET, so anything else has to be refused here. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
/**
 * What fetch sets itself, and what ends at the next hop: one from outside would contradict the request or
 * smuggle a second one (RFC 9112 section 11.2). Doors refuse these names; this is the second line.
 */
const FRAMING = [
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
] as const;
/**
 * Parsed URLs kept. Above this the map starts over: parsing again costs a microsecond, tracking use costs
 * more.
 */
const TARGETS_MAX = 4_096;
const NO_BYTES = new Uint8Array(0);

/** A URL taken apart once, so that a hot endpoint does not pay for it on every attempt. */
interface Target {
  url: URL;
  host: string;
  /** Whether the host has to be looked up. */
  isNamed: boolean;
  tls: Bun.TLSOptions | undefined;
  /** The same with the client certificate that was last shown there. */
  certified: { shown: ClientTls; tls: Bun.TLSOptions } | null;
  /**
   * The address that last failed to connect or to answer in time; it is tried last when a name has several.
   */
  avoidedAddress: string | null;
}

/** What is known about an attempt while it runs, so that a failure can say how far it got. */
interface Progress {
  stage: "connect" | "body";
  target: Target | null;
  address: string | null;
}

interface Failure {
  reason: SendFailure;
  text: string;
}

interface Captured {
  body: Uint8Array;
  isBodyTruncated: boolean;
}

/** A failure that was found here rather than reported by fetch. */
class SendError extends Error implements Failure {
  readonly reason: SendFailure;
  readonly text: string;

  constructor(reason: SendFailure, text: string) {
    super(text);
    this.reason = reason;
    this.text = text;
  }
}

/** Creates the sender. It needs neither start nor stop: its timers belong to attempts in flight. */
export function createSender(deps: SenderDeps): Sender {
  const { clock, egress } = deps;
  const targets = new Map<string, Target>();
  const deadlines = new AttemptDeadlines(clock);

  function targetOf(url: string): Target {
    const known = targets.get(url);
    if (known) return known;
    const target = parseTarget(url, deps.ca);
    if (targets.size >= TARGETS_MAX) targets.clear();
    targets.set(url, target);
    return target;
  }

  async function exchange(
    request: SendRequest,
    deadline: AttemptDeadline,
    progress: Progress,
  ): Promise<Response> {
    const target = targetOf(request.url);
    progress.target = target;
    const init = requestInit(request, target, deadline.signal);
    const answer = egress.resolve(target.url, request.isTrusted, request.allowPrivate);
    // Only a lookup can take time; racing the others would cost a microsecond each.
    const resolution = await (target.isNamed ? deadline.race(answer) : answer);
    if (!resolution.ok) throw new SendError(resolution.reason, resolution.text);
    progress.address = resolution.address;
    const proxy = proxyFor(resolution.address, request.proxy ?? deps.proxy);
    if (proxy !== null) init.proxy = proxy;
    if (resolution.address === null || resolution.address === target.host) return fetch(request.url, init);
    init.headers.set("host", target.url.host);
    return fetchPinned([resolution.address, ...resolution.others], init, progress, target);
  }

  return {
    async send(request) {
      const startedAt = clock.monotonicMs();
      const deadline = deadlines.begin(request.timeoutMs);
      const progress: Progress = { stage: "connect", target: null, address: null };
      try {
        const response = await exchange(request, deadline, progress);
        progress.stage = "body";
        const { status, headers } = response;
        const { body, isBodyTruncated } = await capture(response, request.captureBytesMax);
        const durationMs = Math.round(clock.monotonicMs() - startedAt);
        const { address } = progress;
        return { kind: "response", status, headers, body, isBodyTruncated, durationMs, address };
      } catch (error) {
        const { reason, text } = deadline.failure ?? failureOf(error, progress);
        avoidAfter(reason, progress);
        const durationMs = Math.round(clock.monotonicMs() - startedAt);
        return { kind: "error", reason, text, durationMs, address: progress.address };
      } finally {
        deadlines.end(deadline);
      }
    },
    abortAll: () => deadlines.abortAll(),
  };
}

function parseTarget(text: string, ca: readonly string[] | undefined): Target {
  const url = URL.parse(text);
  if (!url) throw new SendError("protocol", "the target is not a valid URL");
  // Bun's fetch also opens file:, data:, blob: and s3: URLs, which must never be within reach of a target.
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new SendError("blocked", `${url.protocol} URLs are not called, only http: and https:`);
  }
  const host = hostOf(url);
  const isNamed = isIP(host) === 0 && host !== "localhost";
  const tls = url.protocol === "https:" ? tlsOptions(host, ca) : undefined;
  return { url, host, isNamed, tls, certified: null, avoidedAddress: null };
}

function tlsOptions(host: string, ca: readonly string[] | undefined): Bun.TLSOptions {
  const options: Bun.TLSOptions = ca ? { ca: [...ca] } : {};
  // RFC 6066 section 3: no address literals and no trailing dot in a server name.
  if (isIP(host) === 0) options.serverName = host.endsWith(".") ? host.slice(0, -1) : host;
  return options;
}

/**
 * One options object per host and certificate: Bun keeps sockets apart by what these say, and parsing the key
 * anew for every attempt would cost more than the rest of it.
 */
function withCertificate(target: Target, plain: Bun.TLSOptions, shown: ClientTls): Bun.TLSOptions {
  const known = target.certified?.shown === shown ? target.certified.tls : null;
  if (known) return known;
  const { cert, key, ca } = shown;
  const tls: Bun.TLSOptions = { ...plain, cert, key, ...(ca === null ? {} : { ca }) };
  target.certified = { shown, tls };
  return tls;
}

interface FetchInit extends BunFetchRequestInit {
  headers: Headers;
}

function requestInit(request: SendRequest, target: Target, signal: AbortSignal): FetchInit {
  const { method } = request;
  if (!METHODS.has(method)) throw new SendError("protocol", `method ${method} cannot be sent`);
  const body = request.body !== null && request.body.byteLength > 0 ? request.body : null;
  if (body && (method === "GET" || method === "HEAD")) {
    throw new SendError("protocol", `a ${method} request cannot carry a body`);
  }
  const { headers } = request;
  for (const name of FRAMING) if (headers.has(name)) headers.delete(name);
  if (!headers.has("user-agent")) headers.set("user-agent", USER_AGENT);
  const init: FetchInit = {
    method,
    headers,
    body: body as Uint8Array<ArrayBuffer> | null,
    redirect: "manual",
    // Without decompress no Accept-Encoding is sent, and no small answer unpacks into a large one.
    decompress: false,
    // Bun's own limit of five idle minutes would cut longer timeouts short; the deadline is the only clock.
    timeout: false,
    // Undefined would follow HTTP_PROXY and its relatives, past the checked address.
    proxy: false,
    signal,
  };
  if (target.tls) init.tls = request.tls ? withCertificate(target, target.tls, request.tls) : target.tls;
  return init;
}

/** Null for loopback: through a proxy that would be the proxy's own machine. */
function proxyFor(address: string | null, proxy: string | null | undefined): string | null {
  const isLoopback = address === null || address.startsWith("127.") || address === "::1";
  return isLoopback || !proxy ? null : proxy;
}

/** Tries the checked addresses in turn. Only a failed connection moves on: then nothing has been sent yet. */
async function fetchPinned(
  addresses: readonly string[],
  init: FetchInit,
  progress: Progress,
  target: Target,
): Promise<Response> {
  const ordered = addresses.filter((address) => address !== target.avoidedAddress);
  if (ordered.length < addresses.length && target.avoidedAddress) ordered.push(target.avoidedAddress);
  for (const [index, address] of ordered.entries()) {
    progress.address = address;
    try {
      return await fetch(pinnedUrl(target.url, address), init);
    } catch (error) {
      const isLast = index === ordered.length - 1;
      if (isLast || init.signal?.aborted || failureOf(error, progress).reason !== "connect") throw error;
      target.avoidedAddress = address;
    }
  }
  throw new SendError("dns", `no address for ${target.host}`);
}

function pinnedUrl(url: URL, address: string): string {
  const pinned = new URL(url);
  pinned.hostname = address.includes(":") ? `[${address}]` : address;
  return pinned.href;
}

/**
 * A dead address must not eat the whole timeout of every attempt while another one of the same name works.
 */
function avoidAfter(reason: SendFailure, progress: Progress): void {
  const isUnanswered = progress.stage === "connect" && (reason === "timeout" || reason === "connect");
  if (isUnanswered && progress.target) progress.target.avoidedAddress = progress.address;
}

async function capture(response: Response, bytesMax: number): Promise<Captured> {
  const { headers } = response;
  const declared = headers.get("content-length");
  // RFC 9112 section 6.3: Transfer-Encoding overrides Content-Length, so the length then promises nothing.
  if (declared !== null && Number(declared) <= bytesMax && !headers.has("transfer-encoding")) {
    return { body: await response.bytes(), isBodyTruncated: false };
  }
  return response.body ? captureStream(response.body, bytesMax) : { body: NO_BYTES, isBodyTruncated: false };
}

async function captureStream(stream: ReadableStream<Uint8Array>, bytesMax: number): Promise<Captured> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size <= bytesMax) {
    const { done, value } = await reader.read();
    if (done) return { body: Bun.concatArrayBuffers(chunks, size, true), isBodyTruncated: false };
    chunks.push(value);
    size += value.byteLength;
  }
  // Closes the socket; the rest, however long, is neither read nor waited for.
  await reader.cancel();
  return { body: Bun.concatArrayBuffers(chunks, bytesMax, true), isBodyTruncated: true };
}

/** What Bun 1.4.5 puts into `code`, each seen in a test or in its list of errors. */
const FAILURES: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: { reason: "connect", text: "connection refused" },
  ConnectionRefused: { reason: "connect", text: "connection refused" },
  FailedToOpenSocket: { reason: "connect", text: "connection failed" },
  ENETUNREACH: { reason: "connect", text: "network unreachable" },
  EHOSTUNREACH: { reason: "connect", text: "host unreachable" },
  EADDRNOTAVAIL: { reason: "connect", text: "no local address or port left to connect from" },
  ETIMEDOUT: { reason: "connect", text: "connection timed out" },
  ENOTFOUND: { reason: "dns", text: "cannot resolve the host" },
  EPROTO: { reason: "tls", text: "TLS handshake failed" },
  ERR_TLS_CERT_ALTNAME_INVALID: { reason: "tls", text: "certificate is for another host" },
  CERT_HAS_EXPIRED: { reason: "tls", text: "certificate has expired" },
  CERT_NOT_YET_VALID: { reason: "tls", text: "certificate is not yet valid" },
  DEPTH_ZERO_SELF_SIGNED_CERT: { reason: "tls", text: "certificate is self-signed" },
  SELF_SIGNED_CERT_IN_CHAIN: { reason: "tls", text: "certificate chain ends in an unknown root" },
  UnrequestedUpgrade: {
    reason: "protocol",
    text: "answered 101 to a request that did not ask for an upgrade",
  },
};

const CLOSED_CODES: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ConnectionClosed",
  "EPIPE",
  "ECONNABORTED",
]);

function failureOf(error: unknown, progress: Progress): Failure {
  if (error instanceof SendError) return { reason: error.reason, text: error.text };
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (CLOSED_CODES.has(code)) {
    const when = progress.stage === "connect" ? "before the answer" : "in the middle of the answer";
    return { reason: "reset", text: `connection closed ${when}` };
  }
  const known = FAILURES[code];
  if (known) return known;
  // OpenSSL's verification errors: UNABLE_TO_VERIFY_LEAF_SIGNATURE, CERT_REVOKED, INVALID_CA and some thirty
  // more.
  if (/CERT|TLS|SSL|UNABLE_TO|INVALID_CA/.test(code))
    return { reason: "tls", text: `certificate refused: ${code}` };
  return {
    reason: "protocol",
    text: code === "" ? "not a valid HTTP answer" : `not a valid HTTP answer: ${code}`,
  };
}
