import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import {
  type ChallengeKind,
  type ChallengeRequest,
  type ChallengeSpec,
  impliedChallenge,
  prepareChallenge,
} from "../../src/domain/challenge.ts";
import { arrive, NOW } from "./signature/requests.ts";

const SECRETS = [{ value: "s3cret" }];

function ask(kind: ChallengeKind, request: ChallengeRequest, secrets: ChallengeSpec["secrets"] = SECRETS) {
  return prepareChallenge({ kind, secrets }).answer(request, NOW);
}

function post(body: unknown, method = "POST"): ChallengeRequest {
  return { method, ...arrive({}, typeof body === "string" ? body : JSON.stringify(body)) };
}

function get(query: string): ChallengeRequest {
  return { method: "GET", ...arrive({}, "", `/in/source?${query}`) };
}

const hmac = (text: string, encoding: "hex" | "base64", secret = "s3cret") =>
  createHmac("sha256", secret).update(text).digest(encoding);

describe("slack", () => {
  // The request of https://docs.slack.dev/reference/events/url_verification.
  const request = {
    token: "Jhj5dZrVaK7ZwHHjRyZWjbDl",
    challenge: "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P",
    type: "url_verification",
  };

  test("gets its challenge back", () => {
    const answer = ask("slack", post(request));
    expect(answer).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    expect(JSON.parse(answer?.ok ? answer.body : "")).toEqual({ challenge: request.challenge });
  });

  test.each<[string, unknown]>([
    ["an event", { type: "event_callback", event: { type: "url_verification" } }],
    ["a request without a challenge", { type: "url_verification" }],
    ["a challenge that is no text", { ...request, challenge: 5 }],
    ["a list", [request]],
    ["no JSON", "type=url_verification"],
    ["a large body", { ...request, padding: "x".repeat(20_000) }],
  ])("is not answered for %s", (_, body) => {
    expect(ask("slack", post(body))).toBeNull();
  });
});

describe("zoom", () => {
  // The request of https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint.
  const request = {
    payload: { plainToken: "qgg8vlvZRS6UYooatFL8Aw" },
    event_ts: 1_654_503_849_680,
    event: "endpoint.url_validation",
  };

  test("gets its token back, plain and hashed", () => {
    const answer = ask("zoom", post(request));
    expect(answer).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    expect(JSON.parse(answer?.ok ? answer.body : "")).toEqual({
      plainToken: "qgg8vlvZRS6UYooatFL8Aw",
      encryptedToken: hmac("qgg8vlvZRS6UYooatFL8Aw", "hex"),
    });
  });

  test("never has a text hashed that could be an event", () => {
    const forged = 'v0:1777604400:{"event":"meeting.started"}';
    expect(ask("zoom", post({ ...request, payload: { plainToken: forged } }))).toBeNull();
  });

  test.each<[string, unknown]>([
    ["an event", { event: "meeting.started", payload: { plainToken: "x" } }],
    ["a request without a token", { event: "endpoint.url_validation", payload: {} }],
    ["a request without a payload", { event: "endpoint.url_validation", payload: null }],
    ["an empty token", { ...request, payload: { plainToken: "" } }],
  ])("is not answered for %s", (_, body) => {
    expect(ask("zoom", post(body))).toBeNull();
  });
});

describe("discord", () => {
  test("gets a pong for the ping of interactions", () => {
    const ping = { application_id: "1", id: "2", token: "t", type: 1, version: 1, user: { id: "3" } };
    const answer = ask("discord", post(ping));
    expect(answer).toMatchObject({ status: 200, body: '{"type":1}' });
  });

  test("gets an empty 204 for the ping of webhook events", () => {
    const ping = { version: 1, application_id: "1234560123453231555", type: 0 };
    expect(ask("discord", post(ping))).toEqual({ ok: true, status: 204, headers: {}, body: "" });
  });

  test.each<[string, unknown]>([
    [
      "a webhook event, whose type is 1 as well",
      { version: 1, type: 1, event: { type: "APPLICATION_AUTHORIZED" } },
    ],
    ["a command", { type: 2, id: "2" }],
    ["a type that is text", { type: "1" }],
    ["no JSON", '"type"'],
  ])("is not answered for %s", (_, body) => {
    expect(ask("discord", post(body))).toBeNull();
  });
});

describe("meta", () => {
  // The parameters of https://developers.facebook.com/docs/graph-api/webhooks/getting-started.
  const query = (token: string) => `hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=${token}`;

  test("gets its challenge back as bare text", () => {
    expect(ask("meta", get(query("s3cret")))).toEqual({
      ok: true,
      status: 200,
      headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
      body: "1158201444",
    });
  });

  test("is refused with a wrong token, and told of an old one", () => {
    expect(ask("meta", get(query("guess")))).toMatchObject({ ok: false, reason: "token_mismatch" });
    const secrets = [{ value: "new" }, { value: "s3cret", until: NOW - 1 }];
    expect(ask("meta", get(query("s3cret")), secrets)).toMatchObject({
      reason: "token_mismatch",
      diagnosis: { field: "hub.verify_token", oldSecretUntil: NOW - 1 },
    });
  });

  test("is refused without a token", () => {
    expect(ask("meta", get(query("")))).toMatchObject({ ok: false, reason: "missing_token" });
  });

  test.each([
    "",
    "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=s3cret",
    "hub.mode=subscribe&hub.verify_token=s3cret",
    "hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=s3cret",
    `hub.mode=subscribe&hub.challenge=${"1".repeat(300)}&hub.verify_token=s3cret`,
  ])("is not answered for %p", (text) => {
    expect(ask("meta", get(text))).toBeNull();
  });
});

describe("x", () => {
  test("gets its token back, hashed", () => {
    const answer = ask("x", get("crc_token=9b4507b3-9040-4669-9ca3-6b94edb50553&nonce=MTc3"));
    expect(answer).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    expect(JSON.parse(answer?.ok ? answer.body : "")).toEqual({
      response_token: `sha256=${hmac("9b4507b3-9040-4669-9ca3-6b94edb50553", "base64")}`,
    });
  });

  test("never has a text hashed that could be an event", () => {
    const forged = encodeURIComponent('{"for_user_id":"1","tweet_create_events":[]}');
    expect(ask("x", get(`crc_token=${forged}`))).toBeNull();
    expect(ask("x", get("crc_token=a%3D1%26b%3D2"))).toBeNull();
  });

  test("is not answered without a token", () => {
    expect(ask("x", get(""))).toBeNull();
    expect(ask("x", get("crc_token="))).toBeNull();
  });
});

const REQUESTS: Readonly<Record<ChallengeKind, ChallengeRequest>> = {
  slack: post({ type: "url_verification", challenge: "x" }),
  zoom: post({ event: "endpoint.url_validation", payload: { plainToken: "x" } }),
  discord: post({ type: 1 }),
  meta: get("hub.mode=subscribe&hub.challenge=x&hub.verify_token=s3cret"),
  x: get("crc_token=x"),
};
const KINDS = Object.keys(REQUESTS) as ChallengeKind[];

test.each(KINDS)("%s is answered for its own request and method only", (kind) => {
  for (const other of KINDS) expect(ask(kind, REQUESTS[other])?.ok).toBe(kind === other ? true : undefined);
  const request = REQUESTS[kind];
  expect(ask(kind, { ...request, method: request.method === "GET" ? "POST" : "GET" })).toBeNull();
});

test("only what carries no proof of its own must be verified first", () => {
  const verified = KINDS.filter((kind) => prepareChallenge({ kind, secrets: SECRETS }).isVerified);
  expect(verified).toEqual(["slack", "zoom", "discord"]);
});

test("signs with the first secret that is valid, or with the first of all", () => {
  const [old, current, next] = [{ value: "old", until: NOW - 1 }, { value: "current" }, { value: "next" }];
  const answer = (secrets: ChallengeSpec["secrets"]) => ask("x", get("crc_token=abc"), secrets);
  expect(answer([old, current, next])).toMatchObject({
    body: expect.stringContaining(hmac("abc", "base64", "current")),
  });
  expect(answer([old])).toMatchObject({ body: expect.stringContaining(hmac("abc", "base64", "old")) });
});

test.each<ChallengeKind>(["zoom", "meta", "x"])("%s cannot be prepared without its secret", (kind) => {
  for (const secrets of [[], [{ value: "" }]]) {
    expect(() => prepareChallenge({ kind, secrets })).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  }
});

test("the schemes of Slack, Zoom and Discord bring their challenge along", () => {
  const secrets = [{ value: "a" }];
  expect(impliedChallenge([{ scheme: "slack", secrets }])).toEqual({ kind: "slack", secrets: [] });
  expect(impliedChallenge([{ scheme: "discord", secrets }])).toEqual({ kind: "discord", secrets: [] });
  expect(
    impliedChallenge([
      { scheme: "token", query: "t", secrets },
      { scheme: "zoom", secrets },
    ]),
  ).toEqual({
    kind: "zoom",
    secrets,
  });
  expect(impliedChallenge([{ scheme: "github", secrets }])).toBeNull();
});

test("no request makes a challenge throw", () => {
  const challenges = KINDS.map((kind) => prepareChallenge({ kind, secrets: SECRETS }));
  const word = fc.constantFrom(
    ...["type", "event", "challenge", "payload", "plainToken", "url_verification", "endpoint.url_validation"],
    ...["hub.mode=subscribe&", "hub.challenge=", "crc_token=", "%", "\ud800"],
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(word).map((words) => words.join("")),
  );
  const json = fc.object({ key: word, values: [word, fc.constant(null), fc.integer()] });
  const body = fc.oneof(
    text,
    json.map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(body, text, fc.constantFrom("GET", "POST"), (given, query, method) => {
      for (const { answer } of challenges) {
        const result = answer({ method, ...arrive({}, given, `/in/s?${query}`) }, NOW);
        expect(result === null || typeof result.ok === "boolean").toBe(true);
      }
    }),
    { seed: 20_260_501, numRuns: 200 },
  );
});
