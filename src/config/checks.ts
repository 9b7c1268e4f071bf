/**
 * What no single key can tell: references between tables, names used twice, keys that need one another, and
 * settings that are allowed but risky. Works on what could be decoded, so that these findings come together
 * with the others.
 */

import {
  type Checking,
  type Drafts,
  endpointNames,
  fail,
  failUnknown,
  type Place,
  warn,
} from "./checking.ts";
import { locate } from "./document.ts";
import type { KeyPath } from "./issue.ts";
import { checkSource } from "./source-checks.ts";
import { isLoopback, type ListenAddress } from "./values.ts";

/** In the shipped config.toml, so that the first start needs no preparation; worthless as a secret. */
const DEVELOPMENT_KEY = "dev-key-change-me";
const API_KEY_CHARS_ADVISED = 16;

type EndpointDraft = NonNullable<NonNullable<Drafts["endpoint"]>[number]>;
type SubscriptionDraft = NonNullable<NonNullable<Drafts["subscription"]>[number]>;

/** Adds every cross-key error and every warning to the lists of `context`. */
export function checkDeclared(declared: Drafts, context: Checking): void {
  checkListeners(declared, context);
  checkProjects(declared, context);
  checkApiKeys(declared, context);
  checkNames(declared, context);
  checkSchedules(declared, context);
  for (const [index, source] of (declared.source ?? []).entries()) {
    if (source) checkSource(source, { declared, path: ["source", index], context });
  }
  for (const [index, endpoint] of (declared.endpoint ?? []).entries()) {
    if (endpoint) checkEndpoint(endpoint, { declared, path: ["endpoint", index], context });
  }
  for (const [index, subscription] of (declared.subscription ?? []).entries()) {
    if (subscription) checkSubscription(subscription, { declared, path: ["subscription", index], context });
  }
  for (const [index, alert] of (declared.alert ?? []).entries()) {
    if (alert) checkSubscription(alert, { declared, path: ["alert", index], context });
  }
  if (declared.store?.durability === "relaxed") {
    warn(
      context,
      ["store", "durability"],
      "can lose events that were already acknowledged when the machine fails",
    );
  }
}

const LINE_KEYS = ["poison", "key_rate"] as const;

/** Words about lines mean nothing at an endpoint that has none, and were meant to. */
function checkLines(endpoint: EndpointDraft, path: KeyPath, context: Checking): void {
  const { ordering, poison, key_rate } = endpoint;
  const needs: Record<(typeof LINE_KEYS)[number], boolean> = {
    poison: ordering === "none" && poison !== undefined && poison !== "block",
    key_rate: ordering !== "key" && ordering !== undefined && key_rate !== undefined,
  };
  for (const key of LINE_KEYS) {
    if (!needs[key]) continue;
    const word = key === "poison" ? 'ordering = "key" or "endpoint"' : 'ordering = "key"';
    warn(context, [...path, key], `means nothing without ${word}`);
  }
}

const LISTEN_KEYS = ["listen", "ingest_listen", "metrics_listen"] as const;

/** Returns the listeners that are declared and readable, each with its key. */
function listenersOf(declared: Drafts): [string, ListenAddress][] {
  const found: [string, ListenAddress][] = [];
  for (const key of LISTEN_KEYS) {
    const { hostname, port } = declared.server?.[key] ?? {};
    if (hostname !== undefined && port !== undefined) found.push([key, { hostname, port }]);
  }
  const { hostname, port } = declared.server?.tls?.listen ?? {};
  if (hostname !== undefined && port !== undefined) found.push(["tls.listen", { hostname, port }]);
  return found;
}

const isWildcard = (hostname: string) => hostname === "0.0.0.0" || hostname === "::";

function checkListeners(declared: Drafts, context: Checking): void {
  const listeners = listenersOf(declared);
  for (const [index, [key, { hostname, port }]] of listeners.entries()) {
    const path = ["server", ...key.split(".")];
    const rival = listeners.slice(0, index).find(([, other]) => {
      const overlaps = other.hostname === hostname || isWildcard(other.hostname) || isWildcard(hostname);
      return port !== 0 && other.port === port && overlaps;
    });
    if (rival) {
      const [expected, message] = ["a port of its own", `uses port ${port} like server.${rival[0]}`];
      fail(context, path, { given: String(port), expected, message: `${message}, expected ${expected}` });
    }
    if (isLoopback(hostname)) continue;
    const apiUrl = declared.server?.api_url ?? "";
    if (key === "listen" && !apiUrl.startsWith("https://")) {
      warn(
        context,
        path,
        "is reachable from other machines, and API keys travel unencrypted unless a proxy adds TLS",
      );
    }
    if (key === "metrics_listen") warn(context, path, "serves metrics without a key to other machines");
    if (key === "listen" && declared.dev?.echo) {
      warn(
        context,
        ["dev", "echo"],
        "is meant for trying out, and the server is reachable from other machines",
      );
    }
  }
}

function projectIds(declared: Drafts): string[] {
  return ["default", ...(declared.project ?? []).flatMap((project) => project?.id ?? [])];
}

function checkProjects(declared: Drafts, context: Checking): void {
  const known = projectIds(declared);
  for (const kind of [
    "source",
    "endpoint",
    "subscription",
    "alert",
    "schedule",
    "callback_config",
  ] as const) {
    for (const [index, item] of (declared[kind] ?? []).entries()) {
      if (item?.project === undefined || known.includes(item.project)) continue;
      failUnknown(context, [kind, index, "project"], { given: item.project, known, what: "project" });
    }
  }
}

function checkApiKeys(declared: Drafts, context: Checking): void {
  const isPrivate = listenersOf(declared).every(([, { hostname }]) => isLoopback(hostname));
  const seen = new Set<string>();
  for (const [index, project] of (declared.project ?? []).entries()) {
    for (const [place, item] of (project?.api_keys ?? []).entries()) {
      const path: KeyPath = ["project", index, "api_keys", place];
      const key = typeof item === "string" ? item : (item?.key ?? item?.file);
      if (key === undefined) continue;
      if (seen.has(key)) {
        const message = "repeats an API key; each key belongs to one project once";
        fail(context, path, { given: "(secret)", expected: "a key of its own", message });
      }
      seen.add(key);
      checkApiKey(key, { path, isPrivate, context });
    }
  }
  if (seen.size === 0 && !context.errors.isEmpty) return;
  if (seen.size === 0) warn(context, ["project"], "declares no API key, so nobody can use the API");
}

function checkApiKey(key: string, place: { path: KeyPath; isPrivate: boolean; context: Checking }): void {
  const { path, isPrivate, context } = place;
  if (key === DEVELOPMENT_KEY && !isPrivate) {
    const expected = "a key of your own, because a listener is not on the loopback interface";
    fail(context, path, {
      given: "(secret)",
      expected,
      message: `is the development key, expected ${expected}`,
    });
  } else if (key === DEVELOPMENT_KEY) {
    warn(context, path, "is the development key, which everybody knows; fine on this machine only");
  } else if (key.length < API_KEY_CHARS_ADVISED) {
    warn(context, path, `is shorter than ${API_KEY_CHARS_ADVISED} characters and may be guessed`);
  }
}

/**
 * Source names are global because /in/<name> has no project; the others only have to differ inside theirs.
 */
function checkNames(declared: Drafts, context: Checking): void {
  const groups: [string, string, (string | undefined)[]][] = [
    ["project", "id", (declared.project ?? []).map((project) => project?.id)],
    ["source", "name", (declared.source ?? []).map((source) => source?.name)],
    ["endpoint", "name", (declared.endpoint ?? []).map(qualifiedName)],
    ["subscription", "name", (declared.subscription ?? []).map(qualifiedName)],
    ["alert", "name", (declared.alert ?? []).map(qualifiedName)],
    ["schedule", "name", (declared.schedule ?? []).map(qualifiedName)],
    ["callback_config", "name", (declared.callback_config ?? []).map(qualifiedCallback)],
  ];
  for (const [kind, key, names] of groups) {
    for (const [index, name] of names.entries()) {
      const first = names.indexOf(name);
      if (name === undefined || first === index) continue;
      const line = locate(context.root, [kind, first, key]).line;
      const given = JSON.stringify(name.slice(name.indexOf("/") + 1));
      const [expected, message] = [`another ${key}`, `repeats ${given}, already used on line ${line}`];
      fail(context, [kind, index, key], { given, expected, message });
    }
  }
}

interface Named {
  readonly project?: string | undefined;
  readonly name?: string | undefined;
}

/** Names of callback configs are unique in their tenant. */
function qualifiedCallback(item: (Named & { readonly tenant?: string | undefined }) | undefined) {
  const name = qualifiedName(item);
  return name === undefined ? undefined : `${item?.tenant ?? ""} ${name}`;
}

function qualifiedName(item: Named | undefined): string | undefined {
  const { project, name } = item ?? {};
  return project === undefined || name === undefined ? undefined : `${project}/${name}`;
}

function checkSchedules(declared: Drafts, context: Checking): void {
  for (const [index, schedule] of (declared.schedule ?? []).entries()) {
    const { project, endpoint: given } = schedule ?? {};
    if (project === undefined || given === undefined) continue;
    const own = (declared.endpoint ?? []).filter((endpoint) => endpoint?.project === project);
    const known = own.flatMap((endpoint) => endpoint?.name ?? []);
    if (known.includes(given)) continue;
    failUnknown(context, ["schedule", index, "endpoint"], { given, known, what: "endpoint" });
  }
}

function checkEndpoint(endpoint: EndpointDraft, place: Place): void {
  const { path, context } = place;
  checkLines(endpoint, path, context);
  checkResultTo(endpoint, place);
  const { url } = endpoint;
  if (url === undefined || !url.startsWith("http://") || isLoopback(new URL(url).hostname)) return;
  warn(context, [...path, "url"], "sends events unencrypted to another machine");
}

function checkResultTo({ project, name, result_to: given }: EndpointDraft, place: Place): void {
  const { declared, path, context } = place;
  if (given === undefined || project === undefined || given.includes("://")) return;
  const here = [...path, "result_to"];
  if (given === name) {
    const expected = "another endpoint";
    fail(context, here, {
      given: JSON.stringify(given),
      expected,
      message: `names itself, expected ${expected}`,
    });
  }
  const known = endpointNames(declared, project);
  if (!known.includes(given)) failUnknown(context, here, { given, known, what: "endpoint" });
}

function checkSubscription(
  { project, endpoint }: Pick<SubscriptionDraft, "project" | "endpoint">,
  place: Place,
): void {
  const { declared, path, context } = place;
  if (project === undefined || endpoint === undefined) return;
  const known = endpointNames(declared, project);
  if (known.includes(endpoint)) return;
  failUnknown(context, [...path, "endpoint"], { given: endpoint, known, what: "endpoint" });
}
