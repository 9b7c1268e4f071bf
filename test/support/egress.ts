/**
 * The address check for tests, with an answer for every name and without a resolver: "private.test" lies in a
 * private network, "nowhere.test" does not exist, "slow.test" never answers, every other name is public.
 */
import type { Clock } from "../../src/runtime/clock.ts";
import { createEgress, type Egress, type LookedUpAddress } from "../../src/runtime/egress.ts";

export function testEgress(clock: Clock): Egress {
  return createEgress({ allowPrivate: ["localhost", "127.0.0.0/8", "::1"], lookup: lookUp, clock });
}

function lookUp(hostname: string): Promise<LookedUpAddress[]> {
  switch (hostname) {
    case "private.test":
      return Promise.resolve([
        { address: "93.184.215.14", family: 4 },
        { address: "10.1.2.3", family: 4 },
      ]);
    case "nowhere.test":
      return Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }));
    case "slow.test":
      return new Promise(() => {});
    default:
      return Promise.resolve([{ address: "93.184.215.14", family: 4 }]);
  }
}
