/** The checks of the PyFly reference that concern what is sent (section 12, 1 to 31), at its door. */
import { describe, expect, test } from "bun:test";
import type { DeclaredCallbackConfig } from "../../../src/domain/project-settings.ts";
import type { SendFailure } from "../../../src/runtime/sender.ts";
import { KEYS } from "../../support/test-app.ts";
import { type ConfigBody, type Execution, startPyfly, TARGET } from "./postern.ts";

const SECRET = "topsecret";

async function runWith(config: ConfigBody, ...answers: Parameters<typeof answerAll>[1]) {
  const pyfly = await startPyfly();
  await pyfly.config(config);
  answerAll(pyfly, answers);
  const execution = await pyfly.run();
  return { pyfly, execution, [Symbol.asyncDispose]: () => pyfly[Symbol.asyncDispose]() };
}

function answerAll(
  pyfly: Awaited<ReturnType<typeof startPyfly>>,
  answers: readonly (number | { readonly failure: SendFailure } | "hang")[],
): void {
  pyfly.answer(...answers);
}

const REFUSED: { readonly failure: SendFailure } = { failure: "connect" };

describe("matching", () => {
  const both = [
    { event_type: "OrderPlaced", target_url: TARGET },
    { event_type: "*", target_url: "https://other.example.com/all" },
  ];

  test("check 1: an exact and a star subscription of one config both fire", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({ subscriptions: both });
    expect((await pyfly.dispatch()).map(({ status }) => status)).toEqual(["PENDING", "PENDING"]);
    expect((await pyfly.executions()).map(({ status }) => status)).toEqual(["DELIVERED", "DELIVERED"]);
    expect(pyfly.sent.map(({ url }) => url).sort()).toEqual([TARGET, "https://other.example.com/all"]);
  });

  test("check 2: another type goes to the star only, and keeps its own name", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({ subscriptions: both });
    await pyfly.dispatch("{}", "Other");
    expect(await pyfly.executions()).toMatchObject([{ event_type: "Other", status: "DELIVERED" }]);
    expect(pyfly.sent.map(({ url }) => url)).toEqual(["https://other.example.com/all"]);
  });

  test.each([
    ["orderplaced", "OrderPlaced"],
    ["order.placed", "order.*"],
  ])("check 3: %s is not %s", async (sent, subscribed) => {
    await using pyfly = await startPyfly();
    await pyfly.config({ subscriptions: [{ event_type: subscribed, target_url: TARGET }] });
    expect(await pyfly.dispatch("{}", sent)).toEqual([]);
    expect(await pyfly.dispatch("{}", subscribed)).toHaveLength(1);
  });

  test("check 4: a disabled config and another tenant get nothing", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({ enabled: false });
    await pyfly.config({ tenant_id: "other" });
    expect(await pyfly.dispatch()).toEqual([]);
    expect(pyfly.sent).toEqual([]);
  });

  test("the same target twice fires twice, in the order of the subscriptions", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({ subscriptions: [both[0], both[0]] as never });
    expect(await pyfly.dispatch()).toHaveLength(2);
    expect(pyfly.sent).toHaveLength(2);
  });
});

/** The vectors of section 5: payload, canonical text, HMAC under "topsecret". */
const VECTORS: readonly [payload: string, canonical: string, hmac: string][] = [
  [
    '{"id":1,"amount":99}',
    '{"amount":99,"id":1}',
    "ebee8603ef8cbb30aeb3adf8c6c8745e88166813124b4b03bcb7de4a24a523b0",
  ],
  [
    '{"b":{"y":[3,2,1],"x":null},"a":true}',
    '{"a":true,"b":{"x":null,"y":[3,2,1]}}',
    "6b11ac237d042823d588edc82899dea56c5cc780727f0290ac443ff5a819b074",
  ],
  [
    '{"name":"Zoë 😀","path":"a/b","del":"\u007f","ctl":"\\u0001\\n\\t"}',
    '{"ctl":"\\u0001\\n\\t","del":"\\u007f","name":"Zo\\u00eb \\ud83d\\ude00","path":"a/b"}',
    "7aaf990c2f102e6c8a04b04a0ad13667f75b6baf7ddf83818cf7be70b193ac97",
  ],
  [
    '{"f":1.0,"tiny":1e-7,"small":0.00001,"big":1e16,"huge":1e22,"int":12345678901234567890,"neg0":-0.0}',
    '{"big":1e+16,"f":1.0,"huge":1e+22,"int":12345678901234567890,"neg0":-0.0,"small":1e-05,"tiny":1e-07}',
    "147e77234b8fcc3ccbac60ef0b623245246a65802fde6e3bba16d0790c7a40c1",
  ],
  [
    '{"\uffff":1,"\u{10000}":2,"Z":3,"a":4,"_":5}',
    '{"Z":3,"_":5,"a":4,"\\uffff":1,"\\ud800\\udc00":2}',
    "3110a0fe68be52d3956065e1afb81fa3098969d0f795bdb0117c0a65e005249f",
  ],
  ["{}", "{}", "08525245d41d96cd1b6a931e7f3f580edda83032a233e8c36a5130565e6efa53"],
];

describe("the request", () => {
  test.each(VECTORS)("checks 5 and 6: %s is sent as its canonical text", async (payload, canonical, hmac) => {
    await using pyfly = await startPyfly();
    await pyfly.config({ secret: SECRET });
    await pyfly.dispatch(payload);
    expect(pyfly.sent[0]?.text).toBe(canonical);
    expect(pyfly.sent[0]?.headers.get("X-Pyfly-Signature")).toBe(`sha256=${hmac}`);
  });

  test.each([[""], [null], [undefined]])("check 9: the secret %p signs nothing", async (secret) => {
    await using pyfly = await startPyfly();
    await pyfly.config(secret === undefined ? {} : { secret });
    await pyfly.dispatch();
    expect(pyfly.sent).toHaveLength(1);
    expect(pyfly.sent[0]?.headers.get("X-Pyfly-Signature")).toBeNull();
  });

  test("check 10: the body is the payload and nothing around it, posted as JSON", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config();
    await pyfly.dispatch('{"order":{"id":7}}');
    const [sent] = pyfly.sent;
    expect(sent?.method).toBe("POST");
    expect(sent?.headers.get("content-type")).toBe("application/json");
    expect(JSON.parse(sent?.text ?? "")).toEqual({ order: { id: 7 } });
  });

  test("check 11: headers of the subscription arrive, the signature is ours", async () => {
    await using pyfly = await startPyfly();
    const headers = {
      "X-Tenant": "acme",
      "x-PYFLY-signature": "sha256=forged",
      "content-TYPE": "application/json; charset=utf-8",
    };
    await pyfly.config({
      secret: SECRET,
      subscriptions: [{ event_type: "*", target_url: TARGET, headers }],
    });
    await pyfly.dispatch();
    const sent = pyfly.sent[0]?.headers;
    expect(sent?.get("x-tenant")).toBe("acme");
    expect(sent?.get("x-pyfly-signature")).toBe(`sha256=${VECTORS[5]?.[2]}`);
    expect(sent?.get("content-type")).toBe("application/json; charset=utf-8");
  });

  test("the execution, its type and the attempt are told in headers beside the signature", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config();
    const [execution] = await pyfly.dispatch();
    const sent = pyfly.sent[0]?.headers;
    expect(sent?.get("x-pyfly-delivery")).toBe(execution?.id as string);
    expect(sent?.get("x-pyfly-event")).toBe("OrderPlaced");
    expect(sent?.get("x-pyfly-attempt")).toBe("1");
  });

  test.each([
    ["a list", "[1]"],
    ["NaN", '{"a":NaN}'],
    ["a number that overflows", '{"a":1e400}'],
    ["a string", '"x"'],
  ])("a payload that is %s is refused, and nothing is stored", async (_what, payload) => {
    await using pyfly = await startPyfly();
    await pyfly.config();
    await expect(pyfly.dispatch(payload)).rejects.toThrow("invalid_request");
    expect(await pyfly.executions()).toEqual([]);
  });
});

describe("retries", () => {
  test("check 12: a 503 is tried again under the same signature", async () => {
    await using run = await runWith({ secret: SECRET, backoff_ms: 50 }, 503, 200);
    expect(run.execution).toMatchObject({
      status: "DELIVERED",
      attempts: 2,
      response_status: 200,
      last_error: "http 503",
    });
    const signatures = run.pyfly.sent.map(({ headers }) => headers.get("x-pyfly-signature"));
    expect(signatures).toEqual([`sha256=${VECTORS[5]?.[2]}`, `sha256=${VECTORS[5]?.[2]}`]);
  });

  test("check 13: it ends after the attempts of the config", async () => {
    await using run = await runWith({ max_attempts: 2 }, 500, 500, 500);
    expect(run.execution).toMatchObject({ status: "FAILED", attempts: 2, last_error: "http 500" });
    expect(run.pyfly.sent).toHaveLength(2);
  });

  test.each([400, 404, 409, 410, 422, 425, 301, 302])("check 14: %d ends it at once", async (status) => {
    await using run = await runWith({}, status);
    expect(run.execution).toMatchObject({
      status: "FAILED",
      attempts: 1,
      last_error: `http ${status}`,
      response_status: status,
    });
    expect(run.pyfly.sent).toHaveLength(1);
  });

  test.each([408, 429, 500, 501, 502, 503, 504, 599])("check 15: %d is tried again", async (status) => {
    await using run = await runWith({}, status);
    expect(run.execution).toMatchObject({ status: "DELIVERED", attempts: 2 });
  });

  test.each([201, 202, 204, 299])("check 16: %d delivers", async (status) => {
    await using run = await runWith({}, status);
    expect(run.execution).toMatchObject({ status: "DELIVERED", attempts: 1, last_error: null });
    expect(run.execution.delivered_at).toBe(new Date(run.pyfly.app.clock.now()).toISOString());
  });

  test("check 17: the waits double, and there is none after the last attempt", async () => {
    await using run = await runWith({ backoff_ms: 100, max_attempts: 4 }, 500, 500, 500, 500);
    const [first = 0, ...later] = run.pyfly.sent.map(({ at }) => at);
    expect(later.map((at) => at - first)).toEqual([100, 300, 700]);
    expect(run.execution).toMatchObject({ status: "FAILED", next_attempt_at: null });
  });

  test("check 18: no wait is longer than five minutes", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({ backoff_ms: 200_000 });
    pyfly.answer(500, 500);
    await pyfly.dispatch();
    await pyfly.app.advance(200_000);
    const [execution] = await pyfly.executions();
    expect(execution?.attempts).toBe(2);
    expect(Date.parse(execution?.next_attempt_at ?? "") - pyfly.app.clock.now()).toBe(300_000);
  });

  test("check 19: a refused connection is tried until the attempts are used up", async () => {
    await using run = await runWith({ max_attempts: 3 }, REFUSED, REFUSED, REFUSED);
    expect(run.execution).toMatchObject({ status: "FAILED", attempts: 3, response_status: null });
    expect(run.execution.last_error).not.toBe("");
  });

  test("check 20: a target slower than the time limit counts as a failed transport", async () => {
    await using pyfly = await startPyfly({ timeoutMs: 2_000 });
    await pyfly.config({ max_attempts: 1 });
    pyfly.answer("hang");
    await pyfly.dispatch();
    expect(await pyfly.executions()).toMatchObject([{ status: "PENDING" }]);
    await pyfly.app.advance(2_000);
    const [execution] = await pyfly.executions();
    expect(execution).toMatchObject({ status: "FAILED", attempts: 1, response_status: null });
    expect(execution?.last_error).not.toBeNull();
  });

  test("a failure after an answer keeps the status of that answer", async () => {
    await using run = await runWith({ max_attempts: 2 }, 500, REFUSED);
    expect(run.execution).toMatchObject({ status: "FAILED", response_status: 500 });
    expect(run.execution.last_error).toContain("connect");
  });
});

describe("domains", () => {
  const customer = [{ domain: "customer.example.com" }];

  test("check 21: a target outside the list is refused without any attempt", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({
      authorized_domains: customer,
      subscriptions: [{ event_type: "*", target_url: "https://evil.example.org/x" }],
    });
    expect(await pyfly.dispatch()).toMatchObject([
      { status: "FAILED", last_error: "Domain not authorized", attempts: 0, response_status: null },
    ]);
    expect(pyfly.sent).toEqual([]);
  });

  test("a config with an authorized and another target sends to the one and shows both", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({
      authorized_domains: customer,
      subscriptions: [
        { event_type: "*", target_url: "https://evil.example.org/x" },
        { event_type: "*", target_url: TARGET },
      ],
    });
    await pyfly.dispatch();
    expect((await pyfly.executions()).map(({ status }) => status).sort()).toEqual(["DELIVERED", "FAILED"]);
  });

  test("check 23: an empty domain is refused on write", async () => {
    await using pyfly = await startPyfly();
    for (const domain of ["", "  ", "."]) {
      await expect(pyfly.config({ authorized_domains: [{ domain }] })).rejects.toThrow("400");
    }
  });
});

describe("the breaker", () => {
  const dead = Array.from({ length: 12 }, () => REFUSED);

  test("check 24: an open breaker spends attempts, and says so", async () => {
    await using pyfly = await startPyfly({ breaker: { failures: 2, recoveryMs: 30_000, scope: "origin" } });
    await pyfly.config({ max_attempts: 4, backoff_ms: 1_000 });
    pyfly.answer(...dead);
    const execution = await pyfly.run();
    expect(pyfly.sent).toHaveLength(2);
    expect(execution).toMatchObject({ status: "FAILED", attempts: 4 });
    expect(execution.last_error?.toLowerCase()).toContain("circuit");
  });

  test("check 25: answers never open it, whatever their status", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({ max_attempts: 1 });
    pyfly.answer(500, 500, 500, 500, 500);
    for (let n = 0; n < 6; n++) await pyfly.dispatch();
    expect(pyfly.sent).toHaveLength(6);
    expect((await pyfly.executions()).at(-1)).toMatchObject({ status: "DELIVERED" });
  });

  test("check 26: after the recovery time one probe decides", async () => {
    const breaker = { failures: 2, recoveryMs: 30_000, scope: "origin" } as const;
    await using pyfly = await startPyfly({ breaker });
    await pyfly.config({ max_attempts: 1 });
    pyfly.answer(REFUSED, REFUSED, REFUSED);
    for (let n = 0; n < 3; n++) await pyfly.dispatch();
    expect(pyfly.sent).toHaveLength(2);
    await pyfly.app.advance(30_000);
    await pyfly.dispatch();
    await pyfly.dispatch();
    expect(pyfly.sent).toHaveLength(3);
    await pyfly.app.advance(29_999);
    await pyfly.dispatch();
    expect(pyfly.sent).toHaveLength(3);
    await pyfly.app.advance(1);
    await pyfly.dispatch();
    await pyfly.dispatch();
    expect(pyfly.sent).toHaveLength(5);
    expect((await pyfly.executions()).slice(-2).map(({ status }) => status)).toEqual([
      "DELIVERED",
      "DELIVERED",
    ]);
  });

  test.each([
    ["origin", 1],
    ["global", 0],
  ] as const)("check 27: under scope %s a dead origin leaves another %d calls", async (scope, count) => {
    await using pyfly = await startPyfly({ breaker: { failures: 2, recoveryMs: 30_000, scope } });
    const healthy = "https://healthy.example.com/x";
    await pyfly.config({ max_attempts: 1 });
    await pyfly.config({
      max_attempts: 1,
      subscriptions: [{ event_type: "Other", target_url: healthy }],
    });
    pyfly.answer(...dead);
    for (let n = 0; n < 2; n++) await pyfly.dispatch();
    await pyfly.dispatch("{}", "Other");
    expect(pyfly.sent.filter(({ url }) => url === healthy)).toHaveLength(count);
  });
});

describe("configs and executions", () => {
  test("check 28: a new config has the defaults", async () => {
    await using pyfly = await startPyfly();
    const { status, json } = await pyfly.call("/configs", { method: "POST", body: {} });
    expect(status).toBe(201);
    expect(json).toMatchObject({
      tenant_id: "",
      name: "",
      enabled: true,
      max_attempts: 5,
      backoff_ms: 5_000,
      subscriptions: [],
      authorized_domains: [],
      has_secret: false,
    });
  });

  test("check 30: what is pending comes oldest first, and at most 100 at a time", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config();
    pyfly.receiver.always(TARGET, 500);
    const made: (string | undefined)[] = [];
    for (let n = 0; n < 101; n++) made.push((await pyfly.dispatch(`{"n":${n}}`))[0]?.id);
    const first = await pyfly.call("/executions?status=PENDING");
    const page = first.json as Execution[];
    expect(page.map(({ id }) => id)).toEqual(made.slice(0, 100) as string[]);
    const rest = await pyfly.executions(`?status=PENDING&after=${first.headers.get("X-Next-After")}`);
    expect(rest.map(({ id }) => id)).toEqual(made.slice(100) as string[]);
    expect(await pyfly.executions("?status=PENDING&limit=2")).toHaveLength(2);
  });

  test("check 31: no answer and no log has the secret", async () => {
    await using pyfly = await startPyfly();
    const id = await pyfly.config({ secret: "very-hidden-value" });
    await pyfly.run();
    const answers = [
      await pyfly.call(`/configs/${id}`),
      await pyfly.call("/configs"),
      await pyfly.call(`/configs/${id}`, { method: "PUT", body: { secret: "very-hidden-other" } }),
      await pyfly.call("/executions"),
      await pyfly.call("/configs", { method: "POST", body: { secret: 7 } }),
      await pyfly.app.api("/deliveries"),
      await pyfly.app.api("/endpoints"),
    ];
    for (const answer of answers) expect(JSON.stringify(answer.json)).not.toContain("very-hidden");
    expect(JSON.stringify(pyfly.app.logged)).not.toContain("very-hidden");
    expect(answers[0]?.json).toMatchObject({ has_secret: true });
  });

  test("a target with a private address is refused, unless a rule allows it", async () => {
    await using pyfly = await startPyfly();
    const subscriptions = [{ event_type: "*", target_url: "http://10.0.0.7/x" }];
    const answer = await pyfly.call("/configs", { method: "POST", body: { subscriptions } });
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({ error: { code: "target_blocked" } });
    expect((await pyfly.call("/configs")).json).toEqual([]);
  });

  test("the user of a target's URL goes as Basic credentials, as PyFly's client sends it", async () => {
    await using pyfly = await startPyfly();
    const target_url = "https://user:p%40ss@customer.example.com/orders";
    await pyfly.config({ subscriptions: [{ event_type: "*", target_url }] });
    const [made] = await pyfly.dispatch();
    // Executions are stored as they are shown, so the credentials are in neither.
    expect(made?.target_url).toBe("https://***@customer.example.com/orders");
    expect(pyfly.sent[0]?.url).toBe(TARGET);
    expect((await pyfly.call(`/executions/${made?.id}/redeliver`, { method: "POST" })).status).toBe(202);
    await pyfly.app.settle();
    expect(pyfly.sent.map(({ headers }) => headers.get("authorization"))).toEqual(
      Array(2).fill(`Basic ${btoa("user:p@ss")}`),
    );
  });

  test("a PUT without a secret keeps it, null removes it, what is gone is 404", async () => {
    await using pyfly = await startPyfly();
    const id = await pyfly.config({ secret: SECRET });
    const put = (body: ConfigBody) => pyfly.call(`/configs/${id}`, { method: "PUT", body });
    expect((await put({ tenant_id: "acme", name: "renamed" })).json).toMatchObject({ has_secret: true });
    expect((await put({ tenant_id: "acme", secret: null })).json).toMatchObject({ has_secret: false });
    expect((await pyfly.call(`/configs/${id}`, { method: "DELETE" })).status).toBe(204);
    for (const method of ["GET", "PUT", "DELETE"]) {
      const body = method === "PUT" ? { body: {} } : {};
      expect((await pyfly.call(`/configs/${id}`, { method, ...body })).status).toBe(404);
    }
  });

  test("disabling or deleting a config ends what is still to be tried", async () => {
    for (const change of ["disable", "delete"]) {
      await using pyfly = await startPyfly();
      const id = await pyfly.config();
      pyfly.answer(500);
      await pyfly.dispatch();
      const disabled = {
        tenant_id: "acme",
        enabled: false,
        subscriptions: [{ event_type: "*", target_url: TARGET }],
      };
      if (change === "delete") await pyfly.call(`/configs/${id}`, { method: "DELETE" });
      else await pyfly.call(`/configs/${id}`, { method: "PUT", body: disabled });
      await pyfly.app.settle();
      expect(await pyfly.executions()).toMatchObject([
        { status: "FAILED", last_error: "Config disabled", attempts: 1, response_status: 500 },
      ]);
      expect(pyfly.sent).toHaveLength(1);
    }
  });

  test("a subscription that moves to another target ends what waits for the old one only", async () => {
    await using pyfly = await startPyfly();
    const id = await pyfly.config();
    pyfly.answer(500);
    await pyfly.dispatch();
    const subscriptions = [{ event_type: "OrderPlaced", target_url: "https://new.example.com/" }];
    await pyfly.call(`/configs/${id}`, { method: "PUT", body: { tenant_id: "acme", subscriptions } });
    await pyfly.app.settle();
    await pyfly.dispatch();
    expect(await pyfly.executions()).toMatchObject([
      { target_url: TARGET, status: "FAILED", last_error: "Subscription removed" },
      { target_url: "https://new.example.com/", status: "DELIVERED" },
    ]);
  });

  test("redelivering makes a new execution of the same payload", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({ max_attempts: 1, secret: SECRET });
    pyfly.answer(500);
    const failed = await pyfly.run('{"n":1.0}');
    const again = await pyfly.call(`/executions/${failed.id}/redeliver`, { method: "POST" });
    await pyfly.app.settle();
    expect(again.status).toBe(202);
    const [first, second] = await pyfly.executions();
    expect(first).toMatchObject({ id: failed.id, status: "FAILED" });
    expect(second).toMatchObject({ status: "DELIVERED" });
    expect(second?.id).not.toBe(failed.id);
    expect(pyfly.sent.map(({ text }) => text)).toEqual(['{"n":1.0}', '{"n":1.0}']);
  });

  test("waiting answers 200 with what became of all of them", async () => {
    await using pyfly = await startPyfly();
    await pyfly.config({ max_attempts: 2, backoff_ms: 0 });
    pyfly.answer(500, 500);
    const body = { tenant_id: "acme", event_type: "OrderPlaced", payload: {}, wait: true };
    const answer = await pyfly.call("/dispatch", { method: "POST", body });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject([{ status: "FAILED", attempts: 2, last_error: "http 500" }]);
  });

  test("filters take the config, the type and the status", async () => {
    await using pyfly = await startPyfly();
    const id = await pyfly.config({ max_attempts: 1 });
    await pyfly.config({ subscriptions: [{ event_type: "*", target_url: "https://other.example.com/" }] });
    pyfly.answer(500);
    await pyfly.dispatch();
    const count = async (query: string) => (await pyfly.executions(query)).length;
    expect(await count(`?config_id=${id}`)).toBe(1);
    expect(await count("?event_type=OrderPlaced")).toBe(2);
    expect(await count("?event_type=Other")).toBe(0);
    expect(await count("?status=FAILED")).toBe(1);
    expect(await count("?status=DELIVERED")).toBe(1);
    expect((await pyfly.call("/executions?status=GONE")).status).toBe(400);
    expect((await pyfly.call("/executions?limit=0")).status).toBe(400);
  });

  test("a key opens what its scope covers, and only its project", async () => {
    await using pyfly = await startPyfly();
    const id = await pyfly.config();
    const dispatch = { event_type: "OrderPlaced", payload: {} };
    const as = async (key: string, path: string, method = "GET", body?: unknown) =>
      (await pyfly.call(path, { key, method, ...(body === undefined ? {} : { body }) })).status;
    expect(await as(KEYS.ingest, "/dispatch", "POST", dispatch)).toBe(202);
    expect(await as(KEYS.ingest, "/executions")).toBe(403);
    expect(await as(KEYS.read, "/dispatch", "POST", dispatch)).toBe(403);
    expect(await as(KEYS.read, `/configs/${id}`, "PUT", {})).toBe(403);
    expect(await as(KEYS.read, `/configs/${id}`)).toBe(200);
    expect(await as(KEYS.other, `/configs/${id}`)).toBe(404);
    expect(await as("unknown", "/configs")).toBe(401);
    expect(await as(KEYS.admin, "/nothing")).toBe(404);
    expect(await as(KEYS.admin, "/configs", "PATCH")).toBe(405);
  });

  test.each([
    ["a relative target", { subscriptions: [{ event_type: "*", target_url: "/x" }] }],
    ["another scheme", { subscriptions: [{ event_type: "*", target_url: "ftp://example.com" }] }],
    ["an empty type", { subscriptions: [{ event_type: "", target_url: TARGET }] }],
    [
      "a framing header",
      { subscriptions: [{ event_type: "*", target_url: TARGET, headers: { Host: "x" } }] },
    ],
    ["no attempts", { max_attempts: 0 }],
    ["a negative backoff", { backoff_ms: -1 }],
    ["an unknown member", { retries: 3 }],
  ])("a config with %s is 400 and changes nothing", async (_what, body) => {
    await using pyfly = await startPyfly();
    expect((await pyfly.call("/configs", { method: "POST", body })).status).toBe(400);
    expect((await pyfly.call("/configs")).json).toEqual([]);
  });
});

describe("declared configs", () => {
  const declared: DeclaredCallbackConfig = {
    tenant: "acme",
    name: "suite",
    isEnabled: true,
    secret: SECRET,
    attemptsMax: 1,
    backoffMs: 0,
    authorizedDomains: [],
    subscriptions: [{ eventType: "*", targetUrl: TARGET, headers: {} }],
  };

  test("are sent to, shown, and changed in the file only", async () => {
    await using pyfly = await startPyfly({}, [declared]);
    const [config] = (await pyfly.call("/configs?tenant_id=acme")).json as { id: string }[];
    expect(config).toMatchObject({ name: "suite", has_secret: true, max_attempts: 1 });
    expect(await pyfly.dispatch()).toHaveLength(1);
    for (const method of ["PUT", "DELETE"]) {
      const body = method === "PUT" ? { body: {} } : {};
      const answer = await pyfly.call(`/configs/${config?.id}`, { method, ...body });
      expect(answer.status).toBe(409);
      expect(answer.json).toMatchObject({ error: { code: "declared_in_config" } });
    }
  });
});
