/**
 * The receiver: answers every request with 200 and counts. A process of its own; PORT comes in the
 * environment.
 */
let received = 0;

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  routes: {
    "/healthz": () => new Response("ok"),
    "/stat": () => Response.json({ received }),
  },
  fetch() {
    received += 1;
    return new Response("ok");
  },
});
