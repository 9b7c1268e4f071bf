/** What no single key of a [[source]] can tell: its targets, its mode, and rules that need one another. */

import {
  type Checking,
  type Drafts,
  endpointNames,
  fail,
  failUnknown,
  type Place,
  warn,
} from "./checking.ts";
import { isPresent } from "./document.ts";
import type { KeyPath } from "./issue.ts";
import type { TargetName } from "./values.ts";
import { signsUrl } from "./verify-schema.ts";

type SourceDraft = NonNullable<NonNullable<Drafts["source"]>[number]>;
type TargetDraft = NonNullable<SourceDraft["to"]>[number];

/** These must not have a body (RFC 9110 sections 15.3.5 and 15.3.6). */
const BODILESS: ReadonlySet<number | undefined> = new Set([204, 205]);

/** Adds what is wrong with one source, and what is risky about it. */
export function checkSource(source: SourceDraft, place: Place): void {
  const { path, context } = place;
  checkVerify(source, place);
  checkMode(source, place);
  checkTargets(source, place);
  const { status, body } = source.respond ?? {};
  if (body !== undefined && BODILESS.has(status)) {
    const expected = "no body, because the status is 204 or 205";
    fail(context, [...path, "respond", "body"], { given: "a body", expected });
  }
}

function checkMode({ mode, to }: SourceDraft, { path, context }: Place): void {
  const isGiven = isPresent(context.root, [...path, "to"]);
  if (mode === "pull" && isGiven) {
    const [expected, message] = [
      "no targets",
      'cannot stand beside mode = "pull": its events wait to be fetched',
    ];
    fail(context, [...path, "to"], { expected, message });
  } else if (mode === undefined && !isGiven) {
    warn(context, path, 'has no `to`: its events wait to be fetched; say so with mode = "pull"');
  } else if (mode !== "pull" && (to ?? []).length === 0) {
    warn(context, path, "has no target in `to`: its events are stored and go nowhere");
  }
}

function checkTargets(source: SourceDraft, place: Place): void {
  const { project, to = [] } = source;
  // An unreadable project was reported; which endpoints belong to it cannot be told.
  if (project === undefined) return;
  const { declared, path, context } = place;
  const known = endpointNames(declared, project);
  const targets = to.map(readTarget);
  for (const [index, target] of targets.entries()) {
    if (target === undefined) continue;
    const here = [...path, "to", index];
    const isFirst = targets.findIndex((other) => isSameGoal(other, target)) === index;
    if (target.kind === "events") {
      if (isFirst) warnOfTenant(source, target.tenant, { ...place, path: here });
      else failSecondTenant(context, here, target.tenant);
    } else if (target.kind === "endpoint" && !known.includes(target.name)) {
      failUnknown(context, here, { given: target.name, known, what: "endpoint" });
    } else if (!isFirst) {
      const [expected, message] = [`each ${target.kind} once`, `repeats ${JSON.stringify(target.name)}`];
      fail(context, here, { given: JSON.stringify(target.name), expected, message });
    }
  }
}

/** Undefined when it could not be read. */
function readTarget(target: TargetDraft): TargetName | undefined {
  if (target === undefined) return undefined;
  if ("kind" in target) return target as TargetName;
  const {
    endpoint,
    events,
    function: name,
  } = target as {
    endpoint?: string;
    events?: string;
    function?: string;
  };
  if (endpoint !== undefined) return { kind: "endpoint", name: endpoint };
  if (name !== undefined) return { kind: "function", name };
  return events === undefined ? undefined : { kind: "events", tenant: events };
}

function isSameGoal(one: TargetName | undefined, other: TargetName): boolean {
  if (one?.kind !== other.kind) return false;
  return one.kind === "events" || other.kind === "events" || one.name === other.name;
}

function failSecondTenant(context: Checking, path: KeyPath, tenant: string): void {
  const given = JSON.stringify(`events:${tenant}`);
  const [expected, message] = ["one tenant at most", "is a second tenant, but an event belongs to one"];
  fail(context, path, { given, expected, message: `${message}; expected ${expected}` });
}

/** As in domain/notice.ts. */
const NOTICE_TENANT = "postern";

/** Neither is wrong, and both would go unnoticed: the events are stored and go nowhere. */
function warnOfTenant(source: SourceDraft, tenant: string, { declared, path, context }: Place): void {
  if (tenant === NOTICE_TENANT) {
    const message = "is the tenant of Postern's own events, which no source can make; expected another one";
    fail(context, path, { given: JSON.stringify(`events:${tenant}`), expected: "another tenant", message });
    return;
  }
  const own = (declared.subscription ?? []).filter((item) => item?.project === source.project);
  if (!own.some((item) => item?.tenant === tenant)) {
    warn(
      context,
      path,
      `has no subscriptions: none of this project has the tenant ${JSON.stringify(tenant)}`,
    );
  }
  if (source.event_type === undefined) {
    warn(context, path, 'gives events without a type to "*" only, because event_type is not set');
  }
}

function checkVerify({ verify }: SourceDraft, { declared, path, context }: Place): void {
  const isList = Array.isArray(verify);
  const rules = isList ? verify : [verify];
  for (const [index, rule] of rules.entries()) {
    const here = isList ? [...path, "verify", index] : [...path, "verify"];
    if (rule?.scheme === "none" && rules.length > 1) {
      const [expected, message] = ["it to stand alone", 'scheme "none" cannot stand beside other rules'];
      fail(context, here, { given: '"none"', expected, message });
    } else if (rule?.scheme === "none") warn(context, here, "accepts requests from anybody, unverified");
    else if (rule?.scheme === "hmac") checkHmac(rule, here, context);
    else if (rule?.scheme === "hookbridge-inbound") checkTolerance(rule, here, context);
    if (rule !== undefined && coversUrl(rule) && !hasUrl(declared, context, here)) {
      const advice = "set public_url here or in [server] to the address that the sender calls";
      warn(context, here, `covers the URL, which follows \`listen\` for now: ${advice}`);
    }
  }
}

function coversUrl(rule: { scheme?: string | undefined; template?: string | undefined }): boolean {
  return signsUrl(rule.scheme) || (rule.template?.includes("{url}") ?? false);
}

function hasUrl({ server }: Drafts, { root }: Checking, path: KeyPath): boolean {
  return server?.public_url !== undefined || isPresent(root, [...path, "public_url"]);
}

interface HmacDraft {
  template?: string | undefined;
  timestamp_header?: string | undefined;
  id_header?: string | undefined;
  public_url?: string | undefined;
}

function checkHmac(rule: HmacDraft, path: KeyPath, context: Checking): void {
  const { template = "{body}" } = rule;
  const pairs = [
    ["{timestamp}", "timestamp_header", rule.timestamp_header],
    ["{id}", "id_header", rule.id_header],
  ] as const;
  for (const [placeholder, key, header] of pairs) {
    // A header that is present but wrong was reported already.
    const isDeclared = header !== undefined || isPresent(context.root, [...path, key]);
    if (template.includes(placeholder) && !isDeclared) {
      fail(context, [...path, key], { expected: `a header name, because template uses ${placeholder}` });
    } else if (!template.includes(placeholder) && header !== undefined) {
      warn(context, [...path, key], `is not covered by the signature, because template lacks ${placeholder}`);
    }
  }
  if (rule.public_url !== undefined && !template.includes("{url}")) {
    warn(context, [...path, "public_url"], "is not covered by the signature, because template lacks {url}");
  }
  checkTolerance(rule, path, context);
}

/** Without a time there is nothing to be tolerant about. */
function checkTolerance(rule: Pick<HmacDraft, "timestamp_header">, path: KeyPath, context: Checking): void {
  if (rule.timestamp_header === undefined && isPresent(context.root, [...path, "tolerance"])) {
    fail(context, [...path, "timestamp_header"], { expected: "a header name, because tolerance is set" });
  }
}
