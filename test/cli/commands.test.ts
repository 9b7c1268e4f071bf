import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { runCommand } from "./run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

let fileCount = 0;

/** Writes a configuration file, for its owner only, and returns its path. */
function configFile(text: string): string {
  const path = join(folder, `config-${fileCount++}.toml`);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const FREE_PORT = `server = { listen = "127.0.0.1:0" }\n`;
const ENDPOINT = `[[endpoint]]\nname = "app"\nurl = "http://127.0.0.1:1/"\n`;

describe("A wrong call exits with 2 and says what is wrong", () => {
  test.each([
    [["chek"], "Did you mean check?"],
    [["check", "--bogus"], "unknown option '--bogus'"],
    [["check", "extra"], "too many arguments"],
    [["check", "--config"], "argument missing"],
  ])("postern %p", async (args, complaint) => {
    const result = await runCommand(args);
    expect(result.stderr).toContain(complaint);
    expect(result.exitCode).toBe(2);
  });

  test("No command at all shows the list of commands", async () => {
    const result = await runCommand([]);
    expect(result.stderr).toContain("serve");
    expect(result.exitCode).toBe(2);
  });
});

const COMMANDS = ["serve", "check", "doctor", "init", "reload", "version", "bench"];

test("Every command explains itself with --help, and knows ./config.toml where it needs one", async () => {
  const results = await Promise.all(COMMANDS.map((name) => runCommand([name, "--help"])));
  for (const [index, { stdout, exitCode }] of results.entries()) {
    const name = COMMANDS[index] ?? "";
    expect(stdout).toContain(`Usage: postern ${name}`);
    expect(exitCode).toBe(0);
    expect(stdout.includes('(default: "./config.toml")')).toBe(!["version", "bench"].includes(name));
  }
});

test("version names Postern, its commit, Bun and SQLite", async () => {
  const result = await runCommand(["version", "--json"]);
  expect(JSON.parse(result.stdout)).toEqual({
    version,
    commit: "dev",
    bun: Bun.version,
    sqlite: expect.stringMatching(/^3\.\d+\.\d+$/),
  });
  const text = await runCommand(["version"]);
  expect(text.stdout).toContain(`postern ${version} (dev)`);
});

describe("check", () => {
  test("accepts a valid file and counts what it declares", async () => {
    const path = configFile(ENDPOINT);
    const result = await runCommand(["check", "--config", path]);
    expect(result.stdout).toContain("1 project, 0 sources, 1 endpoint, 0 schedules");
    expect(result.exitCode).toBe(0);
  });

  test("shows every error with file, line, key, value and what was expected", async () => {
    const path = configFile(`${ENDPOINT}timeout = "soon"\nconcurency = 3\n`);
    const result = await runCommand(["check", "--config", path]);
    expect(result.stderr).toContain(`${path}:4: endpoint[0].timeout: got "soon", expected a duration`);
    expect(result.stderr).toContain(`${path}:5: endpoint[0].concurency`);
    expect(result.stderr).toContain("did you mean concurrency");
    expect(result.exitCode).toBe(1);
  });

  test("prints the same as JSON", async () => {
    const path = configFile(`${ENDPOINT}timeout = "soon"\n`);
    const result = await runCommand(["check", "--json", "--config", path]);
    expect(result.exitCode).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({
      ok: false,
      errors: [{ file: path, line: 4, key: "endpoint[0].timeout", given: '"soon"' }],
    });
  });

  test("names the variable's key when the environment lacks it", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference as it stands in the file.
    const path = configFile('[[endpoint]]\nname = "app"\nurl = "${APP_URL}"\n');
    const missing = await runCommand(["check", "--config", path]);
    expect(missing.stderr).toContain("endpoint[0].url");
    expect(missing.exitCode).toBe(1);
    const present = await runCommand(["check", "--config", path], {
      env: { APP_URL: "http://127.0.0.1:1/" },
    });
    expect(present.exitCode).toBe(0);
  });

  test("says that a file cannot be read", async () => {
    const result = await runCommand(["check", "--config", join(folder, "none.toml")]);
    expect(result.stderr).toContain("none.toml: cannot be read");
    expect(result.exitCode).toBe(1);
  });
});

describe("init", () => {
  test("writes a file that only its owner can read and that check accepts without a warning", async () => {
    const path = join(folder, "fresh.toml");
    const made = await runCommand(["init", "--config", path]);
    expect(made.stdout).toContain(`postern serve --config ${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const checked = await runCommand(["check", "--json", "--config", path]);
    expect(JSON.parse(checked.stdout)).toEqual({ ok: true, errors: [], warnings: [] });
  });

  test("does not overwrite a file unless it is told to", async () => {
    const path = configFile("precious");
    chmodSync(path, 0o644);
    const refused = await runCommand(["init", "--config", path]);
    expect(refused.stderr).toContain("--force");
    expect(refused.exitCode).toBe(1);
    expect(await Bun.file(path).text()).toBe("precious");
    const forced = await runCommand(["init", "--force", "--config", path]);
    expect(forced.exitCode).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});

interface DoctorReport {
  ok: boolean;
  findings: { status: string; subject: string; detail: string }[];
}

async function examine(config: string): Promise<DoctorReport & { exitCode: number }> {
  const { stdout, exitCode } = await runCommand(["doctor", "--json", "--config", configFile(config)]);
  return { ...(JSON.parse(stdout) as DoctorReport), exitCode };
}

describe("doctor", () => {
  test("examines clock, SQLite, file permissions, disk, ports, names and endpoints", async () => {
    const report = await examine(FREE_PORT);
    expect(report.exitCode).toBe(0);
    expect([...new Set(report.findings.map(({ subject }) => subject))]).toEqual([
      "clock",
      "sqlite",
      "config",
      "permissions",
      "disk",
      "fsync",
      "port",
      "dns",
      "egress",
    ]);
  });

  test("fails when another program has the port", async () => {
    const rival = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => rival.listen(0, "127.0.0.1", resolve));
    const address = rival.address();
    const port = typeof address === "object" ? address?.port : 0;
    const report = await examine(`server = { listen = "127.0.0.1:${port}" }`);
    rival.close();
    expect(report.exitCode).toBe(1);
    expect(report.findings).toContainEqual({
      status: "fail",
      subject: "port",
      detail: `127.0.0.1:${port} is in use by another program`,
    });
  });

  test("only warns of an application that is not there", async () => {
    const report = await examine(`${FREE_PORT}${ENDPOINT}`);
    expect(report.findings).toContainEqual({
      status: "warn",
      subject: "egress",
      detail: "127.0.0.1:1: ECONNREFUSED",
    });
    expect(report.exitCode).toBe(0);
  });

  test("fails when the folder of the store does not exist", async () => {
    const report = await examine(`${FREE_PORT}store = { path = "no/such/folder/postern.db" }`);
    expect(report.findings.some(({ status, subject }) => status === "fail" && subject === "disk")).toBe(true);
    expect(report.exitCode).toBe(1);
  });

  test("warns of a configuration file that others can read", async () => {
    const path = configFile(FREE_PORT);
    chmodSync(path, 0o644);
    const result = await runCommand(["doctor", "--config", path]);
    expect(result.stdout).toMatch(/^warn +permissions +config file .* can be read by others \(644\)/m);
    expect(result.exitCode).toBe(0);
  });

  test("reports an invalid configuration and still examines the machine", async () => {
    const report = await examine("nonsense");
    expect(report.findings.map(({ status, subject }) => `${subject} ${status}`)).toEqual([
      "clock ok",
      "sqlite ok",
      "config fail",
    ]);
  });
});

describe("reload", () => {
  test("says that no server answers", async () => {
    const result = await runCommand(["reload", "--server", "http://127.0.0.1:1", "--key", "k"]);
    expect(result.stderr).toContain("cannot reach http://127.0.0.1:1 (ECONNREFUSED)");
    expect(result.exitCode).toBe(1);
  });
});
