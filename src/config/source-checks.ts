/** What no single key of a [[source]] can tell: its targets, its mode, and rules that need one another. */

import { type Checking, type Drafts, fail, failUnknown, warn } from "./checking.ts";
import { isPresent } from "./document.ts";
import type { KeyPath } from "./issue.ts";
import { signsUrl } from "./verify-schema.ts";

type SourceDraft = NonNullable<NonNullable<Drafts["source"]>[number]>;
type TargetDraft = NonNullable<SourceDraft["to"]>[number];

interface SourcePlace {
  readonly declared: Drafts;
  readonly path: KeyPath;
  readonly context: Checking;
}

/** These must not have a body (RFC 9110 sections 15.3.5 and 15.3.6). */
const BODILESS: ReadonlySet<number | undefined> = new Set([204, 205]);

/** Adds what is wrong with one source, and what is risky about it. */
export function checkSource(source: SourceDraft, place: SourcePlace): void {
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

function checkMode({ mode, to }: SourceDraft, { path, context }: SourcePlace): void {
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

function checkTargets({ project, to = [] }: SourceDraft, { declared, path, context }: SourcePlace): void {
  // An unreadable project was reported; which endpoints belong to it cannot be told.
  if (project === undefined) return;
  const endpoints = (declared.endpoint ?? []).filter((endpoint) => endpoint?.project === project);
  const known = endpoints.flatMap((endpoint) => endpoint?.name ?? []);
  const names = to.map(endpointOf);
  for (const [index, target] of to.entries()) {
    const here = [...path, "to", index];
    if (target !== undefined && "kind" in target && target.kind !== "endpoint") {
      failUnavailable(context, here, target);
      continue;
    }
    const given = names[index];
    if (given === undefined) continue;
    if (!known.includes(given)) failUnknown(context, here, { given, known, what: "endpoint" });
    else if (names.indexOf(given) !== index) {
      const [expected, message] = ["each endpoint once", `repeats ${JSON.stringify(given)}`];
      fail(context, here, { given: JSON.stringify(given), expected, message });
    }
  }
}

function endpointOf(target: TargetDraft): string | undefined {
  if (target === undefined) return undefined;
  if ("kind" in target) return target.kind === "endpoint" ? target.name : undefined;
  return "endpoint" in target ? target.endpoint : undefined;
}

function failUnavailable(
  context: Checking,
  path: KeyPath,
  { kind, name }: { kind?: string | undefined; name?: string | undefined },
): void {
  const given = JSON.stringify(`${kind}:${name}`);
  const what = kind === "function" ? "functions" : "subscriptions";
  const expected = "the name of an endpoint";
  const message = `names ${given}, but ${what} are not available in this version; expected ${expected}`;
  fail(context, path, { given, expected, message });
}

function checkVerify({ verify }: SourceDraft, { declared, path, context }: SourcePlace): void {
  const isList = Array.isArray(verify);
  const rules = isList ? verify : [verify];
  for (const [index, rule] of rules.entries()) {
    const here = isList ? [...path, "verify", index] : [...path, "verify"];
    if (rule?.scheme === "none" && rules.length > 1) {
      const [expected, message] = ["it to stand alone", 'scheme "none" cannot stand beside other rules'];
      fail(context, here, { given: '"none"', expected, message });
    } else if (rule?.scheme === "none") warn(context, here, "accepts requests from anybody, unverified");
    else if (rule?.scheme === "hmac") checkHmac(rule, here, context);
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
  if (rule.timestamp_header === undefined && isPresent(context.root, [...path, "tolerance"])) {
    fail(context, [...path, "timestamp_header"], { expected: "a header name, because tolerance is set" });
  }
}
