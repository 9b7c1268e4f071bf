/** `to = ["function:<name>"]`: what comes in through a source starts an execution. */
import { describe, expect, test } from "bun:test";
import { type PingbackApp, startPingback } from "./support.ts";

const task = (name: string, options: object = {}) => ({ name, type: "task", options });

async function projectId(pingback: PingbackApp): Promise<string> {
  const { json } = await pingback.call("GET", "projects");
  return (json as unknown as readonly { id: string }[])[0]?.id ?? "";
}

describe("A source that names a function", () => {
  const sources = [{ name: "shop", to: ["function:resize"] }];

  test("starts an execution with what came in as its payload", async () => {
    await using pingback = await startPingback({ sources });
    await pingback.register([task("resize", { retries: 1 })]);
    await pingback.app.ingest("shop", '{ "image": 12345678901234567890, "ok": true }');
    await pingback.app.ingest("shop", "plain text");
    await pingback.settle();
    expect(pingback.dispatches().map(({ text }) => text.replace(/.*"payload":/, ""))).toEqual([
      '{"image":12345678901234567890,"ok":true}}',
      '"plain text"}',
    ]);
    const { json } = await pingback.call("GET", `projects/${await projectId(pingback)}/executions`);
    expect(json).toMatchObject({ items: [{ payload: "plain text" }, { status: "success" }] });
  });

  test("holds what comes before an application has registered it, and after it vanished", async () => {
    await using pingback = await startPingback({ sources });
    await pingback.app.ingest("shop", "1");
    await pingback.settle();
    expect(pingback.dispatches()).toEqual([]);
    expect((await pingback.call("POST", "trigger", { task: "resize" })).status).toBe(404);
    await pingback.register([task("resize")]);
    await pingback.settle();
    expect(pingback.dispatches().map(({ body }) => body.payload)).toEqual([1]);
    await pingback.register([]);
    await pingback.app.ingest("shop", "2");
    await pingback.settle();
    expect(pingback.dispatches()).toHaveLength(1);
    expect((await pingback.call("GET", "jobs")).json).toMatchObject([{ name: "resize", status: "inactive" }]);
    await pingback.register([task("resize")]);
    await pingback.settle();
    expect(pingback.dispatches().map(({ body }) => body.payload)).toEqual([1, 2]);
  });
});
