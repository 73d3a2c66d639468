import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";

const ROOT = join(import.meta.dir, "..", "..");
const SECRET = "a-secret-of-the-tests-that-is-long-enough";

/** Beside `SOCKET_DRAIN`: what is under way has 3 s, the disk a reserve of 2. */
const MORE_MS = 5000;

const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), "utf8");

interface Compose {
  readonly services: Readonly<
    Record<string, { build?: string; environment?: Record<string, string>; stop_grace_period?: string }>
  >;
}

describe("the Compose file", () => {
  const { services } = Bun.YAML.parse(read("deploy", "compose", "compose.yaml")) as Compose;
  const nodes = Object.values(services).filter(({ build }) => build !== undefined);

  test("has two nodes, whose settings the server takes", () => {
    expect(nodes).toHaveLength(2);
    for (const { environment = {} } of nodes) {
      const env = { ...environment, APP_SECRET: SECRET };
      expect(loadConfig({ env }).broker).toBe("redis://redis:6379");
    }
  });

  test("gives each node the time that its stop takes", () => {
    const { drainMs } = loadConfig({ env: { APP_SECRET: SECRET } });
    for (const { stop_grace_period: grace } of nodes) {
      expect(Number.parseInt(grace!) * 1000).toBeGreaterThanOrEqual(drainMs + MORE_MS);
    }
  });
});

describe("the unit of systemd", () => {
  const unit = read("deploy", "service-socket.service");
  const values = (name: string): string[] =>
    [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, it]) => it!);

  test("has settings that the server takes, and the time that its stop takes", () => {
    const env = Object.fromEntries(values("Environment").map((line) => line.split("=") as [string, string]));
    const { dataFolder, drainMs } = loadConfig({ env });
    expect(dataFolder).toBe("/var/lib/service-socket");
    expect(Number(values("TimeoutStopSec")[0]) * 1000).toBeGreaterThanOrEqual(drainMs + MORE_MS);
  });

  test("has its settings read again by the signal that the server takes for it", () => {
    expect(values("ExecReload")).toEqual(["/bin/kill -HUP $MAINPID"]);
  });

  test("does not start again after a wrong setting", () => {
    const { exitCode } = Bun.spawnSync([process.execPath, "src/main.ts"], { cwd: ROOT, env: { SOCKET_NONE: "1" } });
    expect(values("RestartPreventExitStatus")).toEqual([String(exitCode)]);
  });
});

describe("the Dockerfile", () => {
  const lines = read("Dockerfile").split("\n");

  test("runs as nobody that the system knows, and keeps its data in the volume", () => {
    expect(lines).toContain("USER 65532:65532");
    expect(lines).toContain("ENV SOCKET_DATA=/data");
    expect(lines).toContain("VOLUME /data");
  });

  test("builds with the version of Bun that the package asks for", () => {
    const { engines } = JSON.parse(read("package.json")) as { engines: { bun: string } };
    expect(lines[1]).toBe(`FROM oven/bun:${engines.bun.replace(">=", "")} AS build`);
  });

  test("asks a server that serves for its health, and a port on which none does", async () => {
    const [, command] = /CMD (\[.*\])\nENTRYPOINT/.exec(read("Dockerfile"))!;
    const ask = (port: number) => {
      return Bun.spawnSync(JSON.parse(command!) as string[], { env: { PATH: process.env["PATH"]!, PORT: `${port}` } });
    };
    const { createServer } = await import("../../src/index.ts");
    const server = await createServer({
      argv: ["--port", "0", "--host", "127.0.0.1", "--broker", "memory:", "--drain", "0"],
      env: { APP_SECRET: SECRET },
    });
    const child = Bun.spawn(JSON.parse(command!) as string[], {
      env: { PATH: process.env["PATH"]!, PORT: String(server.port) },
    });
    expect(await child.exited).toBe(0);
    await server.stop();
    expect(ask(server.port).exitCode).not.toBe(0);
  });
});
