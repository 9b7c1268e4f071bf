import { expect, test } from "bun:test";
import { openVenv } from "./venv.ts";

test("a package without an exact version is refused before anything is installed", () => {
  expect(() => openVenv({ name: "loose", packages: ["standardwebhooks"] })).toThrow("no exact version");
});

const venv = openVenv({ name: "standardwebhooks", packages: ["standardwebhooks==1.0.0"] });

test.skipIf(venv === null)("the interpreter of an environment sees its packages and none else", () => {
  const found = Bun.spawnSync([venv?.python ?? "", "-c", "import standardwebhooks; print('ok')"]);
  expect(found.stdout.toString().trim()).toBe("ok");
  const absent = Bun.spawnSync([venv?.python ?? "", "-c", "import flask"], { stderr: "ignore" });
  expect(absent.success).toBe(false);
});
