/** What of a configuration the log may show: everything but secrets, and of those how many there are. */

import { formatDuration } from "../domain/duration.ts";
import type {
  ChallengeConfig,
  Config,
  ListenAddress,
  SignConfig,
  TargetConfig,
  VerifyConfig,
} from "./config.ts";

function showListen(address: ListenAddress | null): string | null {
  if (!address) return null;
  return address.hostname.includes(":")
    ? `[${address.hostname}]:${address.port}`
    : `${address.hostname}:${address.port}`;
}

function showTarget(target: TargetConfig): string {
  if (target.kind === "events") return `events:${target.tenant}`;
  return target.kind === "function" ? `function:${target.name}` : target.name;
}

/** Proxy and endpoint URLs may hold credentials or path tokens, so only the origin is shown. */
function showOrigin(url: string | null): string | null {
  return url === null ? null : new URL(url).origin;
}

function countSecrets(rules: readonly (VerifyConfig | ChallengeConfig | SignConfig)[]): number {
  return rules.reduce((count, rule) => count + ("secrets" in rule ? rule.secrets.length : 0), 0);
}

function summarizeServer(server: Config["server"]) {
  return {
    listen: showListen(server.listen),
    ingestListen: showListen(server.ingestListen),
    metricsListen: showListen(server.metricsListen),
    tlsListen: showListen(server.tls?.listen ?? null),
    publicUrl: server.publicUrl,
    apiUrl: server.apiUrl,
    trustedProxies: server.trustedProxies,
    maxBodyBytes: server.maxBodyBytes,
  };
}

/** Returns what the start log line says about the configuration; secrets appear only as numbers. */
export function summarizeConfig(config: Config) {
  const { server, store, egress, log, dev } = config;
  return {
    path: config.path,
    server: summarizeServer(server),
    store: {
      path: store.path,
      durability: store.durability,
      masterKey: store.masterKey.kind,
      maxDiskBytes: store.maxDiskBytes,
    },
    egress: {
      allowPrivate: egress.allowPrivate,
      timeout: formatDuration(egress.timeoutMs),
      maxInFlight: egress.maxInFlight,
      proxy: showOrigin(egress.proxy),
    },
    log,
    dev,
    projects: config.projects.map(({ id, apiKeys, pingback }) => ({
      id,
      apiKeyCount: apiKeys.length,
      ...(pingback === null
        ? {}
        : { pingback: { ...pingback, endpointUrl: showOrigin(pingback.endpointUrl), secret: undefined } }),
    })),
    sources: config.sources.map(({ project, name, verify, challenge, mode, to }) => ({
      project,
      name,
      verify: verify.map(({ scheme }) => scheme),
      secretCount: countSecrets(challenge === null ? verify : [...verify, challenge]),
      mode,
      to: to.map(showTarget),
    })),
    endpoints: config.endpoints.map(({ project, name, url, sign, headers }) => ({
      project,
      name,
      origin: showOrigin(url),
      sign: sign.map(({ scheme }) => scheme),
      secretCount: countSecrets(sign),
      headerNames: Object.keys(headers),
    })),
    subscriptions: config.subscriptions,
    callbackConfigs: config.callbackConfigs.map(({ project, tenant, name, secret, subscriptions }) => ({
      project,
      tenant,
      name,
      isSigned: secret !== null,
      targetCount: subscriptions.length,
    })),
  };
}
