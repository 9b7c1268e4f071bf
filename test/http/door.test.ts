import { describe, expect, test } from "bun:test";
import { type Door, Router } from "../../src/http/door.ts";

function door(name: string, ...claims: string[]): Door {
  return { name, claims: { main: claims }, handle: () => new Response(name) };
}

describe("claims", () => {
  const router = new Router(
    [
      door("ingest", "/in/*"),
      door("health", "/healthz"),
      door("first", "/v1/hooks*", "/v1/ws*"),
      door("second", "/v1/**"),
      door("third", "/v1/deep/**"),
    ],
    "main",
  );

  test.each([
    ["/in/orders", "ingest"],
    ["/in", null],
    ["/healthz", "health"],
    ["/healthz/x", null],
    ["/v1/hooks", "first"],
    ["/v1/hooks/7", "first"],
    ["/v1/anything", "second"],
    ["/v1/deep/er", "third"],
    ["/", null],
  ])("%s goes to %p", (path, name) => {
    expect(router.find(path)?.name ?? null).toBe(name);
  });

  test("listeners of another role serve none of them", () => {
    expect(new Router([door("health", "/healthz")], "metrics").find("/healthz")).toBeNull();
  });

  test.each([
    ["/a", "/a"],
    ["/a/*", "/a/b"],
    ["/a/b", "/a/*"],
    ["/a*", "/a/b*"],
    ["/a/b*", "/a*"],
    ["/a/**", "/a/**"],
  ])("%s and %s overlap, and the start says whose they are", (left, right) => {
    const build = () => new Router([door("left", left), door("right", right)], "main");
    expect(build).toThrow(`the doors "left" (${left}) and "right" (${right}) claim the same paths`);
  });

  test.each([
    ["/a", "/b"],
    ["/a/*", "/a"],
    ["/a/**", "/a/b*"],
    ["/a/**", "/a/b/**"],
    ["/a/**", "/a/b"],
  ])("%s and %s stand beside each other", (left, right) => {
    expect(() => new Router([door("left", left), door("right", right)], "main")).not.toThrow();
  });

  test("a claim that cannot be read stops the start", () => {
    for (const claim of ["in/*", "/in/*/x", "/***"]) {
      expect(() => new Router([door("odd", claim)], "main")).toThrow("unreadable claim");
    }
  });
});
