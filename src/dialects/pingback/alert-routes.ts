/** Alerts over the wire (pingback.md section 8). */
import type { DialectContext } from "../../http/dialect.ts";
import { type Alert, type Alerts, TRIGGER_TYPES, type TriggerType } from "./alerts.ts";
import { Refusal } from "./failure.ts";
import { isObject } from "./json.ts";
import type { Call, Route } from "./route.ts";
import { hostOf, jobOf } from "./scope.ts";
import { isGiven, isWhole, readUuid, showIsoTime, showOptionalTime, showUuid } from "./wire.ts";

const COOLDOWN_S = 3_600;
const COOLDOWN_MIN_S = 60;
const VALUE_MAX = 100_000;

export function alertRoutes(context: DialectContext, alerts: Alerts): Route[] {
  const host = ({ principal, params }: Call) => hostOf(context, principal, params[0] ?? "");
  const find = (call: Call): Alert => {
    const found = alerts.find(host(call).project, readUuid(call.params[1] ?? ""));
    if (!found) throw new Refusal(404, "Alert not found");
    return found;
  };
  const show = (call: Call, alert: Alert) => showAlert(alert, showUuid(host(call).id));
  const path = "projects/:project/alerts";
  return [
    {
      method: "POST",
      path,
      scope: "admin",
      async handle(call) {
        const { project } = host(call);
        const { url, ...rule } = readAlert(call.body, true);
        const jobId = await readJobId(context, project, call.body);
        const { triggerType, triggerValue, cooldownSeconds = COOLDOWN_S } = rule;
        if (triggerType === undefined || triggerValue === undefined || url === undefined)
          throw new Refusal(400);
        const made = {
          jobId,
          triggerType,
          triggerValue,
          cooldownSeconds,
          isEnabled: true,
          lastFiredAt: null,
        };
        return show(call, await alerts.create(project, url, made));
      },
    },
    {
      method: "GET",
      path,
      scope: "read",
      handle(call) {
        const jobId = call.query.get("jobId");
        const all = alerts.list(host(call).project);
        const wanted = jobId ? all.filter((alert) => alert.jobId === readUuid(jobId)) : all;
        return wanted.map((alert) => show(call, alert));
      },
    },
    {
      method: "PATCH",
      path: `${path}/:id`,
      scope: "admin",
      handle: async (call) => show(call, await alerts.change(find(call), readAlert(call.body, false))),
    },
    {
      method: "DELETE",
      path: `${path}/:id`,
      scope: "admin",
      handle: (call) => alerts.remove(find(call)),
    },
  ];
}

function showAlert(alert: Alert, projectId: string) {
  const { endpoint, jobId, triggerType, triggerValue, cooldownSeconds, isEnabled, lastFiredAt } = alert;
  return {
    id: showUuid(endpoint.id),
    projectId,
    jobId: jobId === null ? null : showUuid(jobId),
    channel: "webhook",
    target: endpoint.url,
    ...{ triggerType, triggerValue, cooldownSeconds },
    enabled: isEnabled,
    lastFiredAt: showOptionalTime(lastFiredAt),
    createdAt: showIsoTime(endpoint.createdAt),
    updatedAt: showIsoTime(endpoint.updatedAt),
  };
}

async function readJobId(context: DialectContext, project: string, body: unknown) {
  const { jobId } = isObject(body) ? body : {};
  if (!isGiven(jobId)) return null;
  return (await jobOf(context, project, typeof jobId === "string" ? jobId : "")).id;
}

/** Everything but the job, which stays. */
function readAlert(body: unknown, isNew: boolean) {
  const { channel, target, triggerType, triggerValue, cooldownSeconds, enabled } = isObject(body) ? body : {};
  const problems: string[] = [];
  const needs = (value: unknown) => isNew || isGiven(value);
  if (needs(channel) && channel !== "webhook") {
    problems.push(
      channel === "email"
        ? "this server sends no mail: use the channel webhook with a URL"
        : "channel must be one of the following values: webhook",
    );
  }
  if (needs(target) && (typeof target !== "string" || !URL.canParse(target)))
    problems.push("target must be a URL");
  if (needs(triggerType) && !TRIGGER_TYPES.includes(triggerType as TriggerType)) {
    problems.push(`triggerType must be one of the following values: ${TRIGGER_TYPES.join(", ")}`);
  }
  if (needs(triggerValue) && !isWhole(triggerValue, 1, VALUE_MAX)) {
    problems.push("triggerValue must be an integer not less than 1");
  }
  if (isGiven(cooldownSeconds) && !isWhole(cooldownSeconds, COOLDOWN_MIN_S)) {
    problems.push(`cooldownSeconds must be an integer not less than ${COOLDOWN_MIN_S}`);
  }
  if (isGiven(enabled) && typeof enabled !== "boolean") problems.push("enabled must be a boolean");
  if (problems.length > 0) throw new Refusal(400, problems);
  return {
    ...(typeof target === "string" ? { url: target } : {}),
    ...(isGiven(triggerType) ? { triggerType: triggerType as TriggerType } : {}),
    ...(isWhole(triggerValue, 1) ? { triggerValue } : {}),
    ...(isWhole(cooldownSeconds, COOLDOWN_MIN_S) ? { cooldownSeconds } : {}),
    ...(typeof enabled === "boolean" ? { isEnabled: enabled } : {}),
  };
}
