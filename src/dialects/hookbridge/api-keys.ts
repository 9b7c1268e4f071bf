/**
 * API keys (protocol section 10.1). `live` and `test` are labels in the key's text: both see the same data.
 * Who used a key when is known since the start only; writing it down would cost a commit per request.
 */
import type { ApiKey } from "../../domain/access.ts";
import { readId, showId } from "../../domain/id.ts";
import { answerData, answerList, Fault } from "./answer.ts";
import { wrong } from "./fields.ts";
import { DOOR } from "./objects.ts";
import type { Route } from "./router.ts";
import type { Service } from "./service.ts";
import { showOptionalTime, showTime } from "./wire.ts";

/** What is shown of a key later: its kind and three letters. */
const PREFIX_CHARS = 11;
const LABEL_CHARS_MAX = 255;

export function apiKeyRoutes(service: Service): Route[] {
  const { directory, objects } = service.context;
  return [
    {
      method: "GET",
      path: "/v1/api-keys",
      run({ context, project }) {
        const keys = directory.keysOf(project).map((key) => showKey(key, service));
        return answerList(context, keys, null);
      },
    },
    {
      method: "POST",
      path: "/v1/api-keys",
      async run(call) {
        const fields = await call.fields();
        const mode = fields.text("mode") ?? "live";
        if (mode !== "live" && mode !== "test") throw wrong("mode", '"live" or "test"');
        const label = fields.text("label", LABEL_CHARS_MAX) ?? null;
        const text = service.secret(`hb_${mode}_`);
        const hint = text.slice(0, PREFIX_CHARS);
        const given = { project: call.project, label, scope: "admin", text, hint } as const;
        const { key } = await objects.createKey(DOOR, given);
        return answerData(call.context, { ...showKey(key, service), key: text }, { status: 201 });
      },
    },
    {
      method: "DELETE",
      path: "/v1/api-keys/:id",
      async run(call) {
        const id = readId("key", call.param("id"));
        const key = id === null ? undefined : directory.key(id);
        if (!key || key.project !== call.project) throw new Fault("NOT_FOUND", "no such API key");
        await objects.revokeKey(key.id);
        return answerData(call.context, { id: call.param("id"), deleted: true });
      },
    },
  ];
}

function showKey(key: ApiKey, service: Service) {
  return {
    key_id: showId("key", key.id),
    // compat(hookbridge 10.1): the member must be there, also without a label.
    label: key.label,
    // Of keys that the file declares, nothing but a hash is known.
    prefix: key.hint ?? key.door,
    created_at: showTime(key.createdAt),
    last_used_at: showOptionalTime(service.lastUsedAt(key.id)),
  };
}
