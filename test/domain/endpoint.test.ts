import { describe, expect, test } from "bun:test";
import { type Endpoint, egressFor, type ProjectEgress } from "../../src/domain/endpoint.ts";
import { checkSigning } from "../../src/domain/header-rules.ts";
import { newEndpoint } from "../support/factory.ts";
import { CLIENT_CERTIFICATE, TEST_CERTIFICATE } from "../support/tls-certificate.ts";

const PROJECT: ProjectEgress = { allowPrivate: ["10.0.0.0/8"], timeoutMs: null, proxy: "http://proxy.test/" };

function rulesOf(change: Partial<Endpoint>, project?: ProjectEgress) {
  return egressFor({ ...newEndpoint(), ...change } as Endpoint, project);
}

describe("The way out of an endpoint", () => {
  test("follows its own word, then its project's", () => {
    expect(rulesOf({ door: "native" })).toEqual({ isTrusted: false, allowPrivate: null, proxy: null });
    expect(rulesOf({ door: "native" }, PROJECT)).toEqual({
      isTrusted: false,
      allowPrivate: ["10.0.0.0/8"],
      proxy: "http://proxy.test/",
    });
    const own = { allowPrivate: [], proxy: "" };
    expect(rulesOf({ door: "native", ...own }, PROJECT)).toEqual({ isTrusted: false, ...own });
  });

  test("is free for what the operator declared, unless it declared a list as well", () => {
    expect(rulesOf({ door: "config" }).isTrusted).toBe(true);
    expect(rulesOf({ door: "config" }, PROJECT).isTrusted).toBe(true);
    expect(rulesOf({ door: "config", allowPrivate: ["10.0.0.0/8"] }).isTrusted).toBe(false);
  });
});

describe("A client certificate that cannot work is refused where it is written", () => {
  const faultOf = (change: object) => {
    const tls = { ...CLIENT_CERTIFICATE, ca: null, ...change };
    return checkSigning({ sign: [], headers: {}, tls }).map(({ path, message }) => `${path}: ${message}`);
  };
  test.each([
    [{}, []],
    [{ ca: TEST_CERTIFICATE.cert }, []],
    [{ cert: "-----BEGIN nothing" }, ["tls: cert is no certificate in PEM form"]],
    [{ key: CLIENT_CERTIFICATE.cert }, ["tls: key is no private key in PEM form without a passphrase"]],
    [{ key: TEST_CERTIFICATE.key }, ["tls: key does not belong to cert"]],
    [{ ca: CLIENT_CERTIFICATE.key }, ["tls: ca is no certificate in PEM form"]],
  ])("%#", (change, faults) => {
    expect(faultOf(change)).toEqual(faults);
  });
});
