/**
 * The providers' own packages sign, the executable judges: what they make is accepted and forwarded, its
 * tampered, stale and wrongly keyed twins are refused for the right reason, and each refusal is on record.
 */
import { afterAll, expect, test } from "bun:test";
import { sign as signGithub } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { startReceiver } from "../support/receiver.ts";
import { configText, type Postern, removeFolders, startPostern, until } from "./support.ts";

afterAll(removeFolders);

const STRIPE_SECRET = "whsec_stripe_of_this_test";
const GITHUB_SECRET = "github secret of this test";
const STANDARD_SECRET = `whsec_${Buffer.from("standard secret, thirty-two bytes").toString("base64")}`;
const STALE_SECONDS = 3_600;

interface SignInput {
  readonly body: string;
  /** Unix seconds. */
  readonly at: number;
  readonly isRightKey: boolean;
}

type Sign = (input: SignInput) => Promise<Record<string, string>> | Record<string, string>;

const stripe = new Stripe("sk_test_of_this_test");

/** What each package puts on a request. GitHub signs no time, so it has no stale twin. */
const PROVIDERS: Readonly<Record<string, Sign>> = {
  stripe: async ({ body, at, isRightKey }) => ({
    "stripe-signature": await stripe.webhooks.generateTestHeaderStringAsync({
      payload: body,
      secret: isRightKey ? STRIPE_SECRET : "whsec_of_somebody_else",
      timestamp: at,
    }),
  }),
  github: async ({ body, isRightKey }) => ({
    "x-hub-signature-256": await signGithub(isRightKey ? GITHUB_SECRET : "of somebody else", body),
  }),
  standard: ({ body, at, isRightKey }) => {
    const other = `whsec_${Buffer.from("the key of somebody else entirely").toString("base64")}`;
    const date = new Date(at * 1_000);
    return {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(at),
      "webhook-signature": new Webhook(isRightKey ? STANDARD_SECRET : other).sign("msg_1", date, body),
    };
  },
};

const SOURCES = Object.entries({ stripe: STRIPE_SECRET, github: GITHUB_SECRET, standard: STANDARD_SECRET })
  .map(
    ([name, secret]) =>
      `[[source]]\nname = "${name}"\nto = ["app"]\n` +
      `verify = { scheme = "${name}", secret = "${secret}" }\n`,
  )
  .join("\n");

async function post(postern: Postern, source: string, request: { body: string; headers: object }) {
  const answer = await fetch(`${postern.url}/in/${source}`, {
    method: "POST",
    body: request.body,
    headers: { "content-type": "application/json", ...request.headers },
  });
  const json = (await answer.json()) as { error?: { code: string } };
  return [answer.status, json.error?.code ?? "accepted"];
}

test.each(
  Object.keys(PROVIDERS),
)("What the package of %s signs is accepted, and its twins are not", async (name) => {
  await using receiver = startReceiver();
  const config = configText({
    endpoints: [{ name: "app", url: `${receiver.url}/` }],
    sources: {},
    more: SOURCES,
  });
  await using postern = await startPostern({ config });
  const sign = PROVIDERS[name] as Sign;
  const body = '{"id":"evt_1","type":"invoice.paid","amount":1.0}';
  const at = Math.floor(Date.now() / 1_000);
  const right = await sign({ body, at, isRightKey: true });

  expect(await post(postern, name, { body, headers: right })).toEqual([202, "accepted"]);
  expect((await receiver.next()).text).toBe(body);

  const refusals = [await post(postern, name, { body: body.replace("1.0", "1.00"), headers: right })];
  refusals.push(await post(postern, name, { body, headers: await sign({ body, at, isRightKey: false }) }));
  refusals.push(await post(postern, name, { body, headers: {} }));
  const expected = ["signature_mismatch", "signature_mismatch", "missing_signature"];
  if (name !== "github") {
    const stale = await sign({ body, at: at - STALE_SECONDS, isRightKey: true });
    refusals.push(await post(postern, name, { body, headers: stale }));
    expected.push("timestamp_out_of_tolerance");
  }
  expect(refusals).toEqual(expected.map((code) => [401, code]));

  // A refusal is answered before it is on disk.
  const reasons = await until(async () => {
    const kept = await postern.api<{ data: { reason: string }[] }>(`/rejections?source=${name}`);
    return kept.data.length === expected.length ? kept.data.map((rejection) => rejection.reason) : null;
  });
  expect(reasons.reverse()).toEqual(expected);
  expect(receiver.requests).toHaveLength(1);
});
