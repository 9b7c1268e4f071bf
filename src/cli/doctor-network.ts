/** The doctor on the outside: do the endpoints' names resolve, and does somebody take a connection there? */
import { lookup as lookUpWithSystem } from "node:dns/promises";
import { connect, isIP } from "node:net";
import type { Config } from "../config/config.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";
import { showListen } from "./settings.ts";

const CONNECT_TIMEOUT_MS = 3_000;

interface Target {
  readonly hostname: string;
  readonly port: number;
}

type Lookup = (name: string) => Promise<readonly { readonly address: string }[]>;

const SYSTEM_LOOKUP: Lookup = (name) => lookUpWithSystem(name, { all: true });

/** Looks every endpoint's name up. Without one there is nothing to resolve, and nothing that could fail. */
export async function checkNames(config: Config, lookup: Lookup = SYSTEM_LOOKUP): Promise<Finding[]> {
  const names = new Set(targetsOf(config).map(({ hostname }) => hostname));
  for (const name of names) if (isIP(name) !== 0) names.delete(name);
  if (names.size === 0) return [ok("dns", "no endpoint has a name to look up")];
  return Promise.all([...names].map((name) => lookUp(name, lookup)));
}

async function lookUp(name: string, lookup: Lookup): Promise<Finding> {
  try {
    const found = await lookup(name);
    return ok("dns", `${name} is ${found.map(({ address }) => address).join(", ")}`);
  } catch (error) {
    const code =
      error instanceof Error && "code" in error ? String(error.code).replace(/^DNS_/, "") : String(error);
    return fail("dns", `${name} cannot be resolved (${code})`);
  }
}

/**
 * Connects to each distinct host and port once, without sending anything. An absent application is no error
 * yet.
 */
export async function checkEgress(config: Config): Promise<Finding[]> {
  const targets = targetsOf(config);
  if (targets.length === 0) return [ok("egress", "no endpoint to connect to")];
  return Promise.all(targets.map((target) => checkTarget(target, config)));
}

async function checkTarget(target: Target, { server }: Config): Promise<Finding> {
  const text = showListen(target);
  const own = [server.listen, server.ingestListen].filter((one) => one !== null);
  if (own.some(({ hostname, port }) => hostname === target.hostname && port === target.port)) {
    return ok("egress", `${text} is Postern itself`);
  }
  const refusal = await tryConnecting(target);
  return refusal === null ? ok("egress", `${text} takes connections`) : warn("egress", `${text}: ${refusal}`);
}

/** Returns null when the connection came about, else why not. */
function tryConnecting({ hostname, port }: Target): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (result: string | null) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(null));
    socket.once("timeout", () => end(`no answer within ${CONNECT_TIMEOUT_MS} ms`));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

/** Every host and port that deliveries go to, once each; the proxy alone when there is one. */
function targetsOf({ endpoints, egress }: Config): Target[] {
  const urls = egress.proxy === null ? endpoints.map(({ url }) => url) : [egress.proxy];
  const targets = new Map<string, Target>();
  for (const url of urls) {
    const { hostname, port, protocol } = new URL(url);
    const target = {
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port),
    };
    targets.set(showListen(target), target);
  }
  return [...targets.values()];
}
