/**
 * Signing keys of endpoints and of inbound endpoints (protocol section 5). Rotation adds a key and signs with
 * both until one is deleted; there are never more than two, and never none.
 */
import type { Endpoint } from "../../domain/endpoint.ts";
import { answerData, answerList, Fault } from "./answer.ts";
import { readExtra, type SigningKey, secretsOf } from "./objects.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";
import { showTime } from "./wire.ts";

const KEYS_MAX = 2;
const HINT_CHARS = 4;

export function newSigningKey(service: Service, now: number): { key: SigningKey; secret: string } {
  const secret = service.secret("whsec_");
  const key = { id: `sk_${service.context.nextId()}`, hint: secret.slice(-HINT_CHARS), createdAt: now };
  return { key, secret };
}

/** The three routes below a path such as "/v1/endpoints/:id". */
export function signingKeyRoutes(
  service: Service,
  path: string,
  endpointOf: (call: Call) => Endpoint,
): Route[] {
  const keys = `${path}/signing-keys`;
  const inTurn = (call: Call, change: typeof addKey) =>
    service.inTurn(endpointOf(call).id, () => change(call, endpointOf(call), service));
  return [
    { method: "POST", path: keys, run: (call) => inTurn(call, addKey) },
    {
      method: "GET",
      path: keys,
      run: (call) =>
        answerList(call.context, readExtra(endpointOf(call)).keys.toReversed().map(showKey), null),
    },
    { method: "DELETE", path: `${keys}/:key`, run: (call) => inTurn(call, deleteKey) },
  ];
}

/** The older call of documentation 1.x: one new key in place of all. */
export function rotateSecretRoute(service: Service, endpointOf: (call: Call) => Endpoint): Route {
  return {
    method: "POST",
    path: "/v1/endpoints/:id/rotate-secret",
    async run(call) {
      const endpoint = endpointOf(call);
      const { key, secret } = newSigningKey(service, service.context.clock.now());
      await service.changeEndpoint(endpoint, {
        sign: [{ scheme: "hookbridge", secrets: [{ value: secret }] }],
        extra: { ...readExtra(endpoint), keys: [key] },
      });
      const shown = { ...showKey(key), id: call.param("id"), signing_secret: secret };
      return answerData(call.context, shown);
    },
  };
}

async function addKey({ context }: Call, endpoint: Endpoint, service: Service): Promise<Response> {
  const extra = readExtra(endpoint);
  if (extra.keys.length >= KEYS_MAX) {
    throw new Fault("SIGNING_KEY_LIMIT", `at most ${KEYS_MAX} keys sign at once; delete one first`);
  }
  const { key, secret } = newSigningKey(service, service.context.clock.now());
  // The newest first: the scheme writes the oldest key's signature first (protocol section 11.2).
  await service.changeEndpoint(endpoint, {
    sign: [{ scheme: "hookbridge", secrets: [{ value: secret }, ...secretsOf(endpoint)] }],
    // A key of an inbound endpoint is there to be signed with; elsewhere the switch has its own member.
    extra: { ...extra, isSigned: extra.kind === "inbound" || extra.isSigned, keys: [key, ...extra.keys] },
  });
  return answerData(context, { ...showKey(key), signing_secret: secret }, { status: 201 });
}

async function deleteKey(call: Call, endpoint: Endpoint, service: Service): Promise<Response> {
  const extra = readExtra(endpoint);
  const id = call.param("key");
  const at = extra.keys.findIndex((key) => key.id === id);
  if (at === -1) throw new Fault("NOT_FOUND", "no such signing key");
  if (extra.keys.length === 1) throw new Fault("LAST_SIGNING_KEY", "the last signing key cannot be deleted");
  await service.changeEndpoint(endpoint, {
    sign: [{ scheme: "hookbridge", secrets: secretsOf(endpoint).filter((_, index) => index !== at) }],
    extra: { ...extra, keys: extra.keys.filter((_, index) => index !== at) },
  });
  return answerData(call.context, { id, deleted: true });
}

function showKey({ id, hint, createdAt }: SigningKey) {
  return { id, key_hint: hint, created_at: showTime(createdAt) };
}
