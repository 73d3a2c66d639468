import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePort } from "../setup/gateway.ts";

const ROOT = join(import.meta.dir, "..", "..");

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "service-socket-start-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Process groups that a test did not see the end of. */
const groups = new Set<number>();
afterAll(() => groups.forEach(killGroup));

interface Started extends Disposable {
  readonly child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  /** A stream that is open. */
  readonly stream: Response;
  /** Resolves with all that was written to its output, once every process below it has ended too. */
  readonly output: Promise<string>;
}

/** Starts a command in the project's folder and opens a stream of the server that it brings up. */
async function start(command: readonly string[]): Promise<Started> {
  const port = freePort();
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    detached: true, // a process group of its own
    env: {
      PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
      HOME: process.env["HOME"] ?? "",
      PORT: String(port),
      SOCKET_DATA: folder,
      SOCKET_PUBLIC_CHANNELS: "news",
      SOCKET_LOG_LEVEL: "error",
      SOCKET_DRAIN: "0",
      SOCKET_ADMIN_PORT: "off",
    },
  });
  groups.add(child.pid);
  const up = Promise.withResolvers<void>();
  const output = read(child.stdout, "listens on", up.resolve);
  await Promise.race([up.promise, output]);
  const stream = await fetch(`http://127.0.0.1:${port}/channel/news/stream`);
  return { child, stream, output, [Symbol.dispose]: () => killGroup(child.pid) };
}

/** All that is left of it, also what its parents left behind. */
function killGroup(pid: number): void {
  groups.delete(pid);
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing is left.
  }
}

async function read(stream: ReadableStream<Uint8Array>, awaited: string, seen: () => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes(awaited)) seen();
  }
  return text;
}

describe("bun start", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`drains and exits 0 at ${signal}`, async () => {
      using started = await start([process.execPath, "start"]);
      started.child.kill(signal);
      expect(await started.stream.text()).toContain('"reason":"drain"');
      expect(await started.child.exited).toBe(0);
    });
  }

  if (process.platform === "linux") {
    test("drains below an npx whose shell took SIGTERM and did not hand it on", async () => {
      // A process is known by its file's name: this shell stands for npm, the one within for the shell that npm starts.
      const npm = join(folder, "npm exec");
      await symlink("/bin/sh", npm);
      const inner = join(folder, "inner.pid");
      using started = await start([npm, "-c", `sh -c 'echo $$ > ${inner}; bun start; true'; true`]);
      process.kill(Number(await Bun.file(inner).text()), "SIGTERM");
      expect(await started.stream.text()).toContain('"reason":"drain"');
      expect(await started.output).toContain("listens on"); // resolves only when the server is gone
    });
  }
});
