/** Tables of requests and what each must be answered: most HTTP tests are data. */
import { expect, test } from "bun:test";
import { startTestApp, type TestApp, type TestAppOptions, type TestRequest } from "./test-app.ts";

export interface RequestCase extends TestRequest {
  /** A sentence: the test's name. */
  readonly name: string;
  readonly path: string;
  readonly status: number;
  /** error.code of the native envelope. */
  readonly code?: string;
  /** What the JSON answer contains; it may hold more. */
  readonly json?: object;
  /** Headers of the answer; null: absent. */
  readonly answerHeaders?: Readonly<Record<string, string | null>>;
  /** Runs before the request. */
  readonly before?: (app: TestApp) => Promise<unknown> | unknown;
  /** Runs after the request. */
  readonly after?: (app: TestApp) => Promise<unknown> | unknown;
}

/** Declares one test per case, each with an application of its own. */
export function requestTable(options: TestAppOptions, cases: readonly RequestCase[]): void {
  for (const { name, path, status, code, json, answerHeaders, before, after, ...request } of cases) {
    test(name, async () => {
      await using app = await startTestApp(options);
      await before?.(app);
      const response = await app.request(path, request);
      const text = await response.text();
      expect({ status: response.status, text }).toEqual({ status, text });
      expect(response.headers.get("x-request-id")).toBeTruthy();
      for (const [header, value] of Object.entries(answerHeaders ?? {})) {
        expect(response.headers.get(header)).toBe(value);
      }
      if (code !== undefined) {
        expect(JSON.parse(text)).toMatchObject({
          error: { code, message: expect.any(String) },
          requestId: response.headers.get("x-request-id"),
        });
      }
      if (json !== undefined) expect(JSON.parse(text)).toMatchObject(json);
      await after?.(app);
    });
  }
}
