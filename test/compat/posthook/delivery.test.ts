/** Reference sections 8, 11 and 12: conformance checks 35 to 44, with the SDK's arithmetic written out. */
import { describe, expect, test } from "bun:test";
import { DOMAIN, PATH, SETTINGS, SIGNING_KEY, signatureOf, startPosthook, TARGET } from "./postern.ts";

test("check 35: a due hook is one POST at domain and path, with these members in this order", async () => {
  await using posthook = await startPosthook();
  const { data } = await posthook.schedule({ postIn: "5m", path: `${PATH}?a=b`, data: { n: 1 } });
  await posthook.app.advance(300_000);
  const [sent] = posthook.sent;
  expect([posthook.sent.length, sent?.method, sent?.url]).toEqual([1, "POST", `${DOMAIN}${PATH}?a=b`]);
  expect(sent?.headers.get("content-type")).toBe("application/json");
  expect(sent?.headers.get("user-agent")).toBe("Posthook/1.0");
  expect(sent?.headers.get("posthook-id")).toBe(data.id);
  expect(sent?.text).toBe(
    `{"id":"${data.id}","path":"${PATH}?a=b","postAt":"2026-01-01T00:05:00Z",` +
      '"postedAt":"2026-01-01T00:05:00Z","data":{"n":1},' +
      '"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}',
  );
  expect(await posthook.statusOf(data.id)).toBe("completed");
});

test("check 36: the signature is over the time, a point and the body as it went out", async () => {
  await using posthook = await startPosthook();
  await posthook.deliver({ data: { city: "Zürich" } });
  const { headers, text = "" } = posthook.sent[0] ?? {};
  const timestamp = headers?.get("posthook-timestamp") ?? "";
  expect(timestamp).toBe(String(posthook.app.clock.wallNow() / 1_000));
  expect(headers?.get("posthook-signature")).toBe(signatureOf(SIGNING_KEY, timestamp, text));
  expect(headers?.get("posthook-ack-url")).toBeNull();
});

test("check 38: the vectors of section 12 come out of the arithmetic that these tests judge by", () => {
  const body =
    '{"id":"3f0c2a52-7d1e-4c8e-9c1b-5a2f6f0d9e12","path":"/webhooks/demo","postAt":"2026-01-01T00:00:00Z",' +
    '"postedAt":"2026-01-01T00:00:00.250Z","data":{"city":"Zürich","big":9007199254740993},' +
    '"createdAt":"2025-12-31T23:59:00Z","updatedAt":"2025-12-31T23:59:00Z"}';
  const vector = "v1,9923f878cafc506e0ee94978a2496d9e9fbfcd55f3fc1a9345404e8f9b1e4966";
  expect(signatureOf("ph_sk_vector_a", "1767225600", body)).toBe(vector);
});

test("check 39: while a key retires both sign on one line, the legacy header with the new one", async () => {
  const until = Date.UTC(2026, 0, 2);
  const signingKeys = [{ value: "ph_sk_new" }, { value: "ph_sk_old", until }];
  await using posthook = await startPosthook({ signingKeys });
  await posthook.deliver();
  const { headers, text = "" } = posthook.sent[0] ?? {};
  const timestamp = headers?.get("posthook-timestamp") ?? "";
  const values = ["ph_sk_new", "ph_sk_old"].map((key) => signatureOf(key, timestamp, text));
  expect(headers?.get("posthook-signature")).toBe(values.join(" "));
  const legacy = new Bun.CryptoHasher("sha256", "ph_sk_new").update(text).digest("hex");
  expect(headers?.get("x-ph-signature")).toBe(legacy);
  await posthook.app.advance(2 * 86_400_000);
  await posthook.deliver();
  const later = posthook.sent[1]?.headers.get("posthook-signature") ?? "";
  expect(later.split(" ")).toHaveLength(1);
});

test("check 40: a retry has a time and a signature of its own", async () => {
  const retry = { ...SETTINGS.retry, delayMs: 600_000 };
  await using posthook = await startPosthook({ retry });
  posthook.answer(500);
  await posthook.deliver();
  await posthook.app.advance(600_000);
  const stamps = posthook.sent.map(({ headers }) => Number(headers.get("posthook-timestamp")));
  expect((stamps[1] ?? 0) - (stamps[0] ?? 0)).toBe(600);
  const { headers, text = "" } = posthook.sent[1] ?? {};
  expect(headers?.get("posthook-signature")).toBe(signatureOf(SIGNING_KEY, String(stamps[1]), text));
  expect(text).toContain('"postAt":"2026-01-01T00:00:00Z","postedAt":"2026-01-01T00:10:00Z"');
});

describe("check 41: retries", () => {
  test("two failures and a success with fixed/5 s/3: three attempts, by way of retry", async () => {
    await using posthook = await startPosthook();
    posthook.answer(500, 503);
    const id = await posthook.deliver({
      retryOverride: { minRetries: 3, delaySecs: 5, strategy: "fixed", jitter: false },
    });
    const { data } = await posthook.get(id);
    expect([data.status, data.attempts, data.failureError]).toEqual(["retry", 1, "HTTP 500"]);
    expect(data.tryAt).toBe("2026-01-01T00:00:05Z");
    await posthook.advance(4_999);
    expect(posthook.sent).toHaveLength(1);
    await posthook.advance(1);
    expect(await posthook.statusOf(id)).toBe("retry");
    await posthook.advance(5_000);
    const done = (await posthook.get(id)).data;
    expect([done.status, done.attempts, done.failureError, done.tryAt]).toEqual([
      "completed",
      3,
      "",
      undefined,
    ]);
    expect(done.postAt).toBe("2026-01-01T00:00:00Z");
  });

  test("exponential delays grow by the factor up to the cap; jitter only adds", async () => {
    await using posthook = await startPosthook();
    posthook.receiver.always(TARGET, 500);
    await posthook.deliver({
      retryOverride: {
        ...{ minRetries: 4, delaySecs: 20, strategy: "exponential" },
        ...{ backoffFactor: 2.5, maxDelaySecs: 60, jitter: true },
      },
    });
    await posthook.advance(190_000);
    const gaps = posthook.sent.map(({ at }, index) => at - (posthook.sent[index - 1]?.at ?? at));
    // The random number of these tests is always zero.
    expect(gaps).toEqual([0, 20_000, 50_000, 60_000, 60_000]);
  });
});

test("check 42: always 500 with one retry is two requests, then failed with a text", async () => {
  await using posthook = await startPosthook();
  posthook.receiver.always(TARGET, 500);
  const id = await posthook.deliver({
    retryOverride: { minRetries: 1, delaySecs: 5, strategy: "fixed" },
  });
  await posthook.advance(30_000);
  const { data } = await posthook.get(id);
  expect([posthook.sent.length, data.status, data.attempts]).toEqual([2, "failed", 2]);
  expect(data.failureError).toBe("HTTP 500");
});

test("check 43: a redirect is a failure, and so is an answer that takes longer than 10 s", async () => {
  await using posthook = await startPosthook({ retry: { ...SETTINGS.retry, retries: 1 } });
  posthook.answer({ status: 302, headers: { location: "https://evil.example/" } }, "hang");
  const id = await posthook.deliver();
  expect((await posthook.get(id)).data.failureError).toBe("HTTP 302");
  await posthook.advance(15_000 + 9_999);
  expect(await posthook.statusOf(id)).toBe("pending");
  await posthook.advance(1);
  const { data } = await posthook.get(id);
  expect([data.status, data.postDurationSeconds]).toEqual(["failed", 10]);
  expect(posthook.sent.map(({ url }) => url)).toEqual([TARGET, TARGET]);
});

test("check 44: the project's authorization goes out with every delivery", async () => {
  await using posthook = await startPosthook({ authorization: "Bearer of the project" });
  await posthook.deliver();
  expect(posthook.sent[0]?.headers.get("authorization")).toBe("Bearer of the project");
});

test("a project without a domain and without a listener fails the attempt, visibly", async () => {
  await using posthook = await startPosthook({ domain: null });
  const id = await posthook.deliver();
  const { data } = await posthook.get(id);
  expect(data.status).toBe("retry");
  expect(data.failureError).toContain("no listener is connected and the project has no domain");
  expect(posthook.sent).toEqual([]);
});
