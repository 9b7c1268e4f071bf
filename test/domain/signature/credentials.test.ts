import { describe, expect, test } from "bun:test";
import { prepareVerify, type VerifySpec, verify } from "../../../src/domain/signature/index.ts";
import { arrive, type HeaderList, NOW, outcome } from "./requests.ts";

interface Row {
  readonly name: string;
  readonly spec: VerifySpec;
  readonly headers?: HeaderList;
  readonly url?: string;
  readonly expected: string;
}

function runTable(rows: readonly Row[]): void {
  for (const { name, spec, headers = {}, url = "/in/source", expected } of rows) {
    test(name, () => {
      expect(outcome(verify(spec, arrive(headers, "body", url), NOW))).toBe(expected);
    });
  }
}

describe("none", () => {
  runTable([{ name: "accepts anything", spec: { scheme: "none" }, expected: "ok" }]);
});

const SECRETS = [{ value: "first" }, { value: "second", until: NOW }, { value: "third", until: NOW - 1 }];

describe("token", () => {
  const inHeader: VerifySpec = { scheme: "token", header: "X-Token", secrets: SECRETS };
  const inQuery: VerifySpec = { scheme: "token", query: "token", secrets: SECRETS };
  const inEither: VerifySpec = { scheme: "token", header: "X-Token", query: "token", secrets: SECRETS };
  const encoded: VerifySpec = { scheme: "token", query: "to ken", secrets: [{ value: "a&b ü" }] };
  runTable([
    {
      name: "accepts the token in its header",
      spec: inHeader,
      headers: { "x-token": "first" },
      expected: "ok",
    },
    {
      name: "accepts a second token on its last millisecond",
      spec: inHeader,
      headers: { "X-TOKEN": "second" },
      expected: "ok",
    },
    {
      name: "refuses a token that has expired",
      spec: inHeader,
      headers: { "x-token": "third" },
      expected: "token_mismatch",
    },
    {
      name: "refuses another token",
      spec: inHeader,
      headers: { "x-token": "wrong" },
      expected: "token_mismatch",
    },
    {
      name: "refuses a token of another case",
      spec: inHeader,
      headers: { "x-token": "First" },
      expected: "token_mismatch",
    },
    {
      name: "refuses the beginning of a token",
      spec: inHeader,
      headers: { "x-token": "firs" },
      expected: "token_mismatch",
    },
    {
      name: "refuses a header sent twice",
      spec: inHeader,
      headers: { "x-token": "first, first" },
      expected: "token_mismatch",
    },
    { name: "refuses a request without the header", spec: inHeader, expected: "missing_token" },
    {
      name: "takes an empty header for none",
      spec: inHeader,
      headers: { "x-token": "" },
      expected: "missing_token",
    },
    {
      name: "does not look into the query unless told",
      spec: inHeader,
      url: "/in/source?token=first",
      expected: "missing_token",
    },
    {
      name: "accepts the token in the query",
      spec: inQuery,
      url: "/in/source?a=1&token=first#x",
      expected: "ok",
    },
    {
      name: "accepts the token in the query of an absolute URL",
      spec: inQuery,
      url: "https://h/in?token=first",
      expected: "ok",
    },
    {
      name: "decodes names and values of the query",
      spec: encoded,
      url: "/in?to+ken=a%26b%20%C3%BC",
      expected: "ok",
    },
    {
      name: "counts the first of two parameters",
      spec: inQuery,
      url: "/in?token=wrong&token=first",
      expected: "token_mismatch",
    },
    {
      name: "does not read the fragment",
      spec: inQuery,
      url: "/in?a=1#&token=first",
      expected: "missing_token",
    },
    { name: "refuses an empty parameter", spec: inQuery, url: "/in?token=", expected: "missing_token" },
    { name: "refuses a URL without a query", spec: inQuery, url: "", expected: "missing_token" },
    {
      name: "accepts either place when both are named",
      spec: inEither,
      headers: { "x-token": "wrong" },
      url: "/in?token=first",
      expected: "ok",
    },
    {
      name: "refuses when neither place holds it",
      spec: inEither,
      headers: { "x-token": "wrong" },
      url: "/in?token=no",
      expected: "token_mismatch",
    },
  ]);

  test("says which places were looked at", () => {
    const result = verify(inEither, arrive({}), NOW);
    expect(result).toMatchObject({ diagnosis: { field: "X-Token or token" } });
  });

  test("says until when an old token was right", () => {
    const result = verify(inHeader, arrive({ "x-token": "third" }), NOW);
    expect(result).toMatchObject({ diagnosis: { field: "X-Token", oldSecretUntil: NOW - 1 } });
  });

  test("needs a place to look at", () => {
    expect(() => prepareVerify({ scheme: "token", secrets: SECRETS })).toThrow("header or a query parameter");
  });
});

describe("basic", () => {
  const spec: VerifySpec = {
    scheme: "basic",
    username: "producer",
    secrets: [{ value: "pass:wörd" }, ...SECRETS],
  };
  const basic = (credentials: string) => ({
    authorization: `Basic ${Buffer.from(credentials).toString("base64")}`,
  });
  runTable([
    {
      name: "accepts the user and a password with a colon",
      spec,
      headers: basic("producer:pass:wörd"),
      expected: "ok",
    },
    { name: "accepts another valid password", spec, headers: basic("producer:second"), expected: "ok" },
    {
      name: "takes the scheme's name in any case",
      spec,
      headers: { authorization: `bASIC  ${Buffer.from("producer:first").toString("base64")}` },
      expected: "ok",
    },
    {
      name: "refuses an expired password",
      spec,
      headers: basic("producer:third"),
      expected: "token_mismatch",
    },
    { name: "refuses a wrong password", spec, headers: basic("producer:wrong"), expected: "token_mismatch" },
    { name: "refuses another user", spec, headers: basic("consumer:first"), expected: "token_mismatch" },
    {
      name: "refuses credentials without a colon",
      spec,
      headers: basic("producerfirst"),
      expected: "token_mismatch",
    },
    {
      name: "refuses text that is no base64",
      spec,
      headers: { authorization: "Basic %%%" },
      expected: "token_mismatch",
    },
    {
      name: "refuses another scheme",
      spec,
      headers: { authorization: "Bearer first" },
      expected: "missing_token",
    },
    {
      name: "refuses a scheme without credentials",
      spec,
      headers: { authorization: "Basic" },
      expected: "missing_token",
    },
    { name: "refuses a request without the header", spec, expected: "missing_token" },
  ]);

  test("forbids a colon in the user's name", () => {
    expect(() => prepareVerify({ scheme: "basic", username: "a:b", secrets: SECRETS })).toThrow("colon");
  });
});
