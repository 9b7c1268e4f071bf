/**
 * Valid requests with something done to them: never accepted unless what is signed is still the same, and
 * never a throw. POSTERN_FUZZ_RUNS says how many per scheme; POSTERN_FUZZ_SEED searches elsewhere.
 */

import { expect, test } from "bun:test";
import { connect } from "node:net";
import fc from "fast-check";
import { prepareVerify, type Verifier } from "../../src/domain/signature/index.ts";
import { NOW } from "../domain/signature/requests.ts";
import { SCHEMES, type Scheme } from "../domain/signature/signers.ts";
import { startTestApp } from "../support/test-app.ts";
import {
  type Draft,
  draftOf,
  isLegitimate,
  KINDS,
  type Mutation,
  mutate,
  originalsOf,
  readerOf,
} from "./mutations.ts";

const RUNS = Number(process.env.POSTERN_FUZZ_RUNS ?? 100_000);
const SOCKET_RUNS = 1_000;
const SEED = Number(process.env.POSTERN_FUZZ_SEED ?? 20_260_501);
const LIMIT_MS = 600_000;
const AT_ONCE = 16;

const NUMBER = fc.nat(0xffff);
const MUTATION: fc.Arbitrary<Mutation> = fc.tuple(fc.nat(KINDS - 1), NUMBER, NUMBER);
const MUTATIONS = fc.array(MUTATION, { minLength: 1, maxLength: 3 });

function isAccepted(verifier: Verifier, draft: Draft): boolean {
  return verifier({ body: draft.body, headers: readerOf(draft), url: "/in/source" }, NOW).ok;
}

for (const scheme of SCHEMES) {
  const verifier = prepareVerify(scheme.spec);
  const originals = originalsOf(scheme);

  test(`${scheme.spec.scheme} accepts what is signed and fresh, and only that`, () => {
    for (const original of originals) {
      const draft = draftOf(original);
      // A body of Linear's without a time is not one that Linear sends.
      const isTimed = scheme.spec.scheme !== "linear" || original.body.includes('"webhookTimestamp"');
      expect(isAccepted(verifier, draft)).toBe(isTimed && isLegitimate(scheme, originals, draft));
    }
  });

  test(
    `${scheme.spec.scheme} accepts no mutation whose signed parts differ`,
    () => {
      let accepted = 0;
      let refused = 0;
      const isRight = (start: number, mutations: readonly Mutation[]) => {
        const draft = mutate(originals, start, mutations);
        if (!isAccepted(verifier, draft)) {
          refused += 1;
          return true;
        }
        accepted += 1;
        return isLegitimate(scheme, originals, draft);
      };
      fc.assert(fc.property(NUMBER, MUTATIONS, isRight), { numRuns: RUNS, seed: SEED });
      // Names in another case and repeated headers must not cost a request its place; most else must.
      expect(accepted).toBeGreaterThan(RUNS / 1_000);
      expect(refused).toBeGreaterThan(RUNS / 4);
    },
    LIMIT_MS,
  );
}

test("the server answers every mutation on a socket with 2xx or 4xx, and stays up", async () => {
  await using app = await startTestApp({
    listeners: [{ hostname: "127.0.0.1", port: 0, role: "main" }],
    sources: SCHEMES.map(({ spec }) => ({ name: spec.scheme, verify: [spec] })),
  });
  app.clock.step(NOW - app.clock.now());
  const [listening] = app.server.start();
  const port = listening?.port ?? 0;
  const samples = fc.sample(fc.tuple(NUMBER, NUMBER, MUTATIONS), { numRuns: SOCKET_RUNS, seed: SEED });
  const originals = new Map(SCHEMES.map((scheme) => [scheme, originalsOf(scheme)]));
  const statuses = new Map<number, number>();
  const sendNext = async (): Promise<void> => {
    for (let sample = samples.pop(); sample !== undefined; sample = samples.pop()) {
      const [pick, start, mutations] = sample;
      const scheme = SCHEMES[pick % SCHEMES.length] as Scheme;
      const draft = mutate(originals.get(scheme) ?? [], start, mutations);
      const status = await post(port, `/in/${scheme.spec.scheme}`, draft);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status < 200 || status >= 500) throw new Error(`answered ${status}: ${JSON.stringify(sample)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sendNext));
  expect([...statuses.values()].reduce((sum, count) => sum + count)).toBe(SOCKET_RUNS);
  expect(statuses.get(202)).toBeGreaterThan(0);
  expect(statuses.get(401)).toBeGreaterThan(0);
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  expect(app.logged.filter(({ level }) => level === "error")).toEqual([]);
});

/** Writes the bytes themselves, which no HTTP client would; resolves with the status, 0 without an answer. */
function post(port: number, path: string, { headers, body }: Draft): Promise<number> {
  const lines = headers.map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, "")}`);
  const head = [
    `POST ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Connection: close",
    `Content-Length: ${body.length}`,
  ];
  const text = [...head, ...lines, "", ""].join("\r\n");
  const encoding = /[\u0100-\uffff]/.test(text) ? "utf8" : "latin1";
  const { promise, resolve } = Promise.withResolvers<number>();
  let answer = "";
  const socket = connect(port, "127.0.0.1", () => {
    socket.write(Buffer.concat([Buffer.from(text, encoding), body]));
  });
  socket.on("data", (bytes) => {
    answer += bytes.toString("latin1");
  });
  // A server that has refused a request may end the connection before it has read all of it.
  socket.on("error", () => socket.destroy());
  socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0)));
  return promise;
}
