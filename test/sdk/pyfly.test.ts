/**
 * A PyFly user's side in Python: the ten lines of the README dispatch an event with httpx, and a receiver in
 * Python checks what arrives as PyFly's own validator does, on the raw bytes and on the value written again.
 */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { API_KEY, configText, removeFolders, startPostern } from "../e2e/support.ts";
import { openVenv } from "./venv.ts";

afterAll(removeFolders);

const venv = openVenv({ name: "pyfly", packages: ["httpx==0.28.1"] });
const README = await Bun.file(join(import.meta.dir, "../../README.md")).text();

/** Prints its port, then one line of JSON per request. */
const RECEIVER = `
import hashlib, hmac, http.server, json

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        sent = self.headers["X-Pyfly-Signature"]
        again = json.dumps(json.loads(raw), separators=(",", ":"), sort_keys=True).encode()
        sign = lambda key, body: "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
        flipped = bytes([raw[0] ^ 1]) + raw[1:]
        print(json.dumps({
            "raw": hmac.compare_digest(sign(b"topsecret", raw), sent),
            "again": hmac.compare_digest(sign(b"topsecret", again), sent),
            "other_key": hmac.compare_digest(sign(b"another", raw), sent),
            "flipped": hmac.compare_digest(sign(b"topsecret", flipped), sent),
            "payload": json.loads(raw),
        }), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
for _ in range(1):
    server.handle_request()
`;

test.skipIf(venv === null)(
  "the dispatch of the README reaches a Python receiver that verifies it",
  async () => {
    const python = venv?.python ?? "";
    const receiver = Bun.spawn([python, "-c", RECEIVER], { stdout: "pipe", stderr: "inherit" });
    const lines = linesOf(receiver.stdout);
    const port = await lines();
    const more =
      '[[callback_config]]\nname = "shop"\ntenant = "acme"\nsecret = "topsecret"\n' +
      `subscriptions = [{ event_type = "OrderPlaced", target_url = "http://127.0.0.1:${port}/" }]\n`;
    const config = configText({ endpoints: [], sources: {}, more });
    await using postern = await startPostern({ config });
    const script = pythonOfReadme()
      .replaceAll("http://127.0.0.1:8420", postern.url)
      .replaceAll("dev-key-change-me", API_KEY);
    const run = Bun.spawnSync([python, "-c", script], { stderr: "pipe" });
    expect(run.stderr.toString()).toBe("");
    expect(run.stdout.toString()).toContain("DELIVERED");
    expect(JSON.parse(await lines())).toMatchObject({
      raw: true,
      again: true,
      other_key: false,
      flipped: false,
      payload: { id: 1, amount: 99 },
    });
    await receiver.exited;
  },
);

/** The block of Python that dispatches with httpx. */
function pythonOfReadme(): string {
  const block = [...README.matchAll(/```python\n(.*?)```/gs)].find(([, code]) =>
    code?.includes("callbacks/dispatch"),
  );
  if (!block?.[1]) throw new Error("the README shows no dispatch with httpx");
  return block[1];
}

/** Returns a function that resolves with the next line. */
function linesOf(stream: ReadableStream<Uint8Array>): () => Promise<string> {
  const reader = stream.getReader();
  let text = "";
  return async () => {
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error("the receiver has ended");
      text += new TextDecoder().decode(value);
    }
    const [line = ""] = text.split("\n", 1);
    text = text.slice(line.length + 1);
    return line;
  };
}
