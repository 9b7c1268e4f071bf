/** Projects and their API keys (pingback.md sections 5.2 and 5.3). */
import type { FunctionHost } from "../../domain/function.ts";
import { isOperator, type Principal } from "../../http/auth.ts";
import type { DialectContext } from "../../http/dialect.ts";
import { Refusal } from "./failure.ts";
import { isObject } from "./json.ts";
import type { KeyUses } from "./key-uses.ts";
import type { Route } from "./route.ts";
import { hostOf } from "./scope.ts";
import { isGiven, PINGBACK_NAME, readUuid, showIsoTime, showOptionalTime, showUuid } from "./wire.ts";

const KEY_PREFIX = "pb_live_";
const KEY_BYTES = 32;
const HINT_CHARS = 16;

/**
 * `userId` names a user of the hosted platform; there is none here. The secret is shown as there, but not to
 * keys that may only look: with it they could call the application in our name.
 */
function showProject(host: FunctionHost, { scope }: Principal) {
  return {
    id: showUuid(host.id),
    userId: null,
    name: host.title,
    domain: host.domain,
    cronSecret: scope === "admin" ? host.secret : null,
    endpointUrl: host.endpointUrl,
    createdAt: showIsoTime(host.createdAt),
    updatedAt: showIsoTime(host.updatedAt),
  };
}

export function projectRoutes(context: DialectContext): Route[] {
  return [...allProjectsRoutes(context), ...oneProjectRoutes(context)];
}

function allProjectsRoutes({ functions, objects }: DialectContext): Route[] {
  return [
    {
      method: "POST",
      path: "projects",
      scope: "admin",
      async handle({ principal, body }) {
        if (!isOperator(principal)) throw new Refusal(403, "Only keys of the default project may do this");
        const { name, endpointUrl, domain } = readProject(body);
        const slug = slugOf(name);
        await objects.createProject(PINGBACK_NAME, slug);
        await functions.ensureHost(slug, { title: name });
        return showProject(await functions.changeHost(slug, { endpointUrl, ...domain }), principal);
      },
    },
    {
      method: "GET",
      path: "projects",
      scope: "read",
      async handle({ principal, project }) {
        await functions.ensureHost(project);
        const hosts = functions.hosts();
        return hosts
          .filter((host) => isOperator(principal) || host.project === principal.project)
          .map((host) => showProject(host, principal));
      },
    },
  ];
}

function oneProjectRoutes(context: DialectContext): Route[] {
  const { functions, objects, random } = context;
  return [
    {
      method: "GET",
      path: "projects/:project",
      scope: "read",
      handle: ({ principal, params }) => showProject(hostOf(context, principal, params[0] ?? ""), principal),
    },
    {
      method: "PATCH",
      path: "projects/:project",
      scope: "admin",
      async handle({ principal, params, body }) {
        const host = hostOf(context, principal, params[0] ?? "");
        const { name: title, endpointUrl, domain } = readProject(body);
        const changed = await functions.changeHost(host.project, { title, endpointUrl, ...domain });
        return showProject(changed, principal);
      },
    },
    {
      method: "POST",
      path: "projects/:project/rotate-secret",
      scope: "admin",
      async handle({ principal, params }) {
        const host = hostOf(context, principal, params[0] ?? "");
        const secret = Buffer.from(random.bytes(KEY_BYTES)).toString("hex");
        return showProject(await functions.changeHost(host.project, { secret }), principal);
      },
    },
    {
      method: "DELETE",
      path: "projects/:project",
      scope: "admin",
      async handle({ principal, params }) {
        const host = hostOf(context, principal, params[0] ?? "");
        await functions.removeHost(host.project);
        const project = context.directory.projects().find(({ name }) => name === host.project);
        if (project?.door === PINGBACK_NAME) await objects.retireProject(host.project);
      },
    },
  ];
}

interface ProjectWords {
  readonly name: string;
  readonly endpointUrl: string;
  readonly domain: { readonly domain?: string };
}

function readProject(body: unknown): ProjectWords {
  const { name, endpointUrl, domain } = isObject(body) ? body : {};
  const problems: string[] = [];
  if (typeof name !== "string" || name === "") problems.push("name must be a non-empty string");
  if (
    typeof endpointUrl !== "string" ||
    !/^https?:\/\/[^/]/i.test(endpointUrl) ||
    !URL.canParse(endpointUrl)
  ) {
    problems.push("endpointUrl must be a URL address");
  }
  if (isGiven(domain) && typeof domain !== "string") problems.push("domain must be a string");
  if (problems.length > 0) throw new Refusal(400, problems);
  const given = typeof domain === "string" && domain !== "" ? { domain } : {};
  return { name: name as string, endpointUrl: endpointUrl as string, domain: given };
}

/** The name under which everything else knows the project. */
function slugOf(name: string): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 60);
  if (slug === "") throw new Refusal(400, ["name must have a letter or a digit"]);
  return slug;
}

export function keyRoutes(context: DialectContext, uses: KeyUses): Route[] {
  const { directory, objects, random } = context;
  return [
    {
      method: "POST",
      path: "projects/:project/api-keys",
      scope: "admin",
      async handle({ principal, params, body }) {
        const { project } = hostOf(context, principal, params[0] ?? "");
        const { name } = isObject(body) ? body : {};
        if (typeof name !== "string" || name === "")
          throw new Refusal(400, ["name must be a non-empty string"]);
        const text = KEY_PREFIX + Buffer.from(random.bytes(KEY_BYTES)).toString("hex");
        const keyPrefix = text.slice(0, HINT_CHARS);
        const made = { project, label: name, scope: "admin", hint: keyPrefix, text } as const;
        const { key } = await objects.createKey(PINGBACK_NAME, made);
        return { id: showUuid(key.id), name, key: text, keyPrefix };
      },
    },
    {
      method: "GET",
      path: "projects/:project/api-keys",
      scope: "read",
      handle({ principal, params }) {
        const host = hostOf(context, principal, params[0] ?? "");
        const keys = directory.keysOf(host.project).filter(({ door }) => door === PINGBACK_NAME);
        return keys.map(({ id, label, hint, createdAt }) => ({
          id: showUuid(id),
          projectId: showUuid(host.id),
          name: label,
          keyPrefix: hint ?? null,
          lastUsedAt: showOptionalTime(uses.lastUsedAt(id)),
          createdAt: showIsoTime(createdAt),
        }));
      },
    },
    {
      method: "DELETE",
      path: "projects/:project/api-keys/:id",
      scope: "admin",
      async handle({ principal, params }) {
        const { project } = hostOf(context, principal, params[0] ?? "");
        const id = readUuid(params[1] ?? "");
        const key = id === null ? undefined : directory.key(id);
        // Also of one that is unknown: the hosted platform answers 200 either way (5.3).
        if (key?.project === project && key.door === PINGBACK_NAME) await objects.revokeKey(key.id);
      },
    },
  ];
}
