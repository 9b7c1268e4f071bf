/** The reference's short list of hard rules (section 1), one by one: breaking one breaks an SDK. */
import { describe, expect, test } from "bun:test";
import { KEYS } from "../../support/test-app.ts";
import { startListening } from "./listener.ts";
import {
  type HookJson,
  PATH,
  SIGNING_KEY,
  settingsOf,
  signatureOf,
  startPosthook,
  TARGET,
} from "./postern.ts";

const UNKNOWN = "3f0c2a52-7d1e-4c8e-9c1b-5a2f6f0d9e11";

test("rule 1: the API is at the root of its origin", async () => {
  await using posthook = await startPosthook();
  expect((await posthook.list()).status).toBe(200);
  expect((await posthook.app.request("/posthook/v1/hooks")).status).toBe(404);
});

test("rules 2 and 3: every answer is a JSON object, with data, or with a text under error", async () => {
  await using posthook = await startPosthook();
  const { data } = await posthook.schedule({ postIn: "1h" });
  const calls: [string, string, unknown?][] = [
    ["GET", "/v1/hooks"],
    ["GET", `/v1/hooks/${data.id}`],
    ["POST", "/v1/hooks/bulk/retry", { hookIDs: [] }],
    ["POST", "/v1/ws/ticket"],
    ["DELETE", `/v1/hooks/${data.id}`],
    ["DELETE", `/v1/hooks/${data.id}`],
    ["POST", "/v1/hooks", "{"],
    ["PATCH", "/v1/hooks"],
    ["GET", "/v1/hooks/"],
    ["GET", "/v1/hooks/a/b"],
    ["GET", "/v1/ws"],
    ["GET", "/v1/ws/ticket"],
    ["GET", "/v1/ws/other"],
  ];
  for (const [method, path, body] of calls) {
    const answer = await posthook.call<object>(path, { method, ...(body === undefined ? {} : { body }) });
    const shape = answer.status < 300 ? typeof answer.data : typeof answer.error;
    expect([method, path, answer.status, shape]).toEqual([
      method,
      path,
      expect.any(Number),
      answer.status < 300 ? "object" : "string",
    ]);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.status).not.toBe(204);
  }
});

test("rules 4 and 5: times have Z and no or three digits of fraction, counts are integers", async () => {
  await using posthook = await startPosthook();
  posthook.app.clock.advance(7);
  const { data, text } = await posthook.schedule({ postAt: "2026-05-01T00:00:00.1234567Z", data: {} });
  expect([data.postAt, data.createdAt]).toEqual(["2026-05-01T00:00:00.123Z", "2026-01-01T00:00:00.007Z"]);
  expect(text).toContain('"attempts":0,');
  const override = { minRetries: 3, delaySecs: 5, strategy: "exponential", maxDelaySecs: 60, jitter: false };
  const other = await posthook.schedule({ postIn: "1h", retryOverride: override });
  expect(other.text).toContain(JSON.stringify(override));
});

test("rule 6: an empty list is a list", async () => {
  await using posthook = await startPosthook();
  expect((await posthook.list("?status=failed")).text).toStartWith('{"data":[],');
});

test("rule 7: data keeps its text, however it was written", async () => {
  await using posthook = await startPosthook();
  for (const data of [
    "1.0",
    "-0",
    "1E5",
    "18446744073709551615",
    '{"b":1,"a":1,"a":2}',
    '"\\u0041\\/"',
    "[ 1 , 2 ]",
  ]) {
    const body = `{ "data" : ${data} , "path":"${PATH}", "postIn":"1h" }`;
    const { text, status } = await posthook.call("/v1/hooks", { method: "POST", body });
    expect([status, text]).toEqual([201, expect.stringContaining(`"data":${data},`)]);
  }
});

describe("rule 8: the content type does not matter, nor does an empty body where none is needed", () => {
  const request = (
    posthook: Awaited<ReturnType<typeof startPosthook>>,
    method: string,
    path: string,
    body = "",
  ) =>
    posthook.app.request(path, {
      method,
      headers: {
        "x-api-key": KEYS.admin,
        "content-type": "application/json",
        "content-length": `${body.length}`,
      },
      ...(method === "GET" ? {} : { body }),
    });

  test("on GET, DELETE and the ticket", async () => {
    await using posthook = await startPosthook();
    const { data } = await posthook.schedule({ postIn: "1h" });
    expect((await request(posthook, "GET", "/v1/hooks")).status).toBe(200);
    expect((await request(posthook, "POST", "/v1/ws/ticket")).status).toBe(200);
    expect((await request(posthook, "DELETE", `/v1/hooks/${data.id}`)).status).toBe(200);
  });

  test("on a schedule without one", async () => {
    await using posthook = await startPosthook();
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
      const response = await posthook.app.request("/v1/hooks", {
        method: "POST",
        headers: { "x-api-key": KEYS.admin, "content-type": type },
        body: `{"path":"${PATH}","postIn":"1h"}`,
      });
      expect(response.status).toBe(201);
    }
  });
});

test("rule 9: one signature header, its values joined by one space, a time of its own", async () => {
  await using posthook = await startPosthook({ signingKeys: [{ value: "a" }, { value: "b" }] });
  posthook.answer(500);
  await posthook.deliver();
  await posthook.advance(15_000);
  const headers = posthook.sent.map((sent) => sent.headers);
  for (const [index, one] of headers.entries()) {
    const stamp = one.get("posthook-timestamp") ?? "";
    const { text = "" } = posthook.sent[index] ?? {};
    expect(one.get("posthook-signature")).toBe(
      `${signatureOf("a", stamp, text)} ${signatureOf("b", stamp, text)}`,
    );
  }
  expect(headers[0]?.get("posthook-timestamp")).not.toBe(headers[1]?.get("posthook-timestamp"));
});

test("rules 10 and 12: pings are data frames, and every frame is an object with a type", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  await listening.send({ data: null });
  await listener.next("hook");
  for (let second = 0; second < 60; second += 5) listening.posthook.app.clock.advance(5_000);
  await listener.next("ack_timeout");
  await listener.next("ping");
  for (const frame of listener.frames)
    expect([typeof frame, typeof frame.type]).toEqual(["object", "string"]);
});

test("rule 14: nothing is answered with a redirect, whatever the slashes", async () => {
  await using posthook = await startPosthook();
  for (const path of ["//v1/hooks", "/v1/hooks/", "/v1/hooks//", "/v1/ws/", `/v1/hooks/${UNKNOWN}/`]) {
    const { status } = await posthook.call(path);
    expect(status < 300 || status >= 400).toBe(true);
  }
});

test("check 59: a client that answers no ping for minutes is not given up", async () => {
  await using listening = await startListening();
  const listener = await listening.listen();
  for (let minute = 0; minute < 3; minute += 1) listening.posthook.app.clock.advance(60_000);
  const id = await listening.send();
  while ((await listener.next()).type !== "hook");
  listener.say({ type: "ack", hookId: id });
  await listening.until(id, "completed");
});

test("a reload changes domain, keys and policy for what is sent from then on", async () => {
  await using posthook = await startPosthook();
  const { data } = await posthook.schedule({ postIn: "1h" });
  const signingKeys = [{ value: "ph_sk_new" }, { value: SIGNING_KEY, until: Date.UTC(2027, 0, 1) }];
  await posthook.app.reconcileDialects(settingsOf({ domain: "https://new.example.com", signingKeys }));
  await posthook.app.advance(3_600_000);
  const [sent] = posthook.sent;
  expect(sent?.url).toBe(`https://new.example.com${PATH}`);
  expect(sent?.headers.get("posthook-signature")?.split(" ")).toHaveLength(2);
  expect((await posthook.get(data.id)).data.domain).toBe("https://new.example.com");
});

test("the native API shows hooks and their endpoint, and one cancelled there is failed here", async () => {
  await using posthook = await startPosthook();
  const { data } = await posthook.schedule({ postIn: "1h" });
  const { json } = await posthook.app.api("/endpoints");
  expect(json.data.map(({ name }) => name)).toContain("posthook:domain");
  const id = `dlv_${data.id.replaceAll("-", "")}`;
  expect((await posthook.app.api(`/deliveries/${id}`)).json.state).toBe("queued");
  expect((await posthook.app.api(`/deliveries/${id}/cancel`, { method: "POST" })).status).toBe(200);
  expect(await posthook.statusOf(data.id)).toBe("failed");
  expect((await posthook.list("?status=failed")).data.map((hook: HookJson) => hook.id)).toEqual([data.id]);
  expect(posthook.receiver.to(TARGET)).toEqual([]);
});
