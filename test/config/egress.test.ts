import { describe, expect, test } from "bun:test";
import { toDeclarations } from "../../src/declarations.ts";
import { CLIENT_CERTIFICATE, TEST_CERTIFICATE } from "../support/tls-certificate.ts";
import { configOf, errorsOf } from "./parse-text.ts";

const APP = '[[endpoint]]\nname = "app"\nurl = "https://partner.example/in"\n';
const files = {
  "/etc/postern/client.pem": CLIENT_CERTIFICATE.cert,
  "/etc/postern/client.key": CLIENT_CERTIFICATE.key,
  "/etc/postern/other.key": TEST_CERTIFICATE.key,
};
/** As any secret of a file: without the last line end. */
const TRIMMED = { cert: CLIENT_CERTIFICATE.cert.trimEnd(), key: CLIENT_CERTIFICATE.key.trimEnd() };
const tls = (key: string) => `${APP}tls = { cert = { file = "client.pem" }, key = { file = "${key}" } }`;

describe("[egress] of projects and endpoints", () => {
  test("a project's timeout, proxy and private addresses stand in place of the general ones", () => {
    const project =
      '[[project]]\nid = "default"\n' +
      'egress = { timeout = "7s", proxy = "http://p.test", allow_private = ["10.0.0.0/8"] }\n';
    const config = configOf(project + APP);
    expect(config.endpoints[0]).toMatchObject({ timeoutMs: 7_000, proxy: null, allowPrivate: null });
    expect(toDeclarations(config).egress?.get("default")).toEqual({
      allowPrivate: ["10.0.0.0/8"],
      timeoutMs: 7_000,
      proxy: "http://p.test/",
    });
  });

  test("an endpoint's own keys count first", () => {
    const [declared] = toDeclarations(
      configOf(`${APP}timeout = "1s"\nproxy = ""\nallow_private = ["partner.example"]`),
    ).endpoints;
    expect(declared).toMatchObject({
      timeoutMs: 1_000,
      proxy: "",
      allowPrivate: ["partner.example"],
      tls: null,
    });
  });

  test("a client certificate is read from files or stands in place", () => {
    const [declared] = toDeclarations(configOf(tls("client.key"), { files })).endpoints;
    expect(declared?.tls).toEqual({ ...TRIMMED, ca: null });
    const { cert, key } = CLIENT_CERTIFICATE;
    const inPlace = `${APP}tls = { cert = """${cert}""", key = """${key}""" }`;
    expect(toDeclarations(configOf(inPlace)).endpoints[0]?.tls).toEqual({ ...CLIENT_CERTIFICATE, ca: null });
  });

  test("a key of another certificate is an error with its line, and is not printed", () => {
    const [error = ""] = errorsOf(tls("other.key"), { files });
    expect(error).toBe("config.toml:4: endpoint[0].tls: key does not belong to cert");
    const [other = ""] = errorsOf(`${APP}tls = { cert = "x", key = "hunter2" }`);
    expect(other).not.toContain("hunter2");
  });
});
