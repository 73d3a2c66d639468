import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Gateway, listened, publish, startGateway } from "../setup/gateway.ts";
import { listen } from "./listening.ts";

/** So that every stream writes lines. */
const settings = { SOCKET_LOG_LEVEL: "debug" };
/** Lines of 200 bytes that fill a pipe, which takes 64 KiB, more than twice. */
const STREAMS = 800;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "service-socket-log-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A pipe: the end that the log is written to, and the end that reads. */
function pipe(name: string): { readonly written: number; readonly read: number } {
  const path = join(folder, name);
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { written: openSync(path, constants.O_WRONLY), read };
}

/** Opens streams that end again, each of which is a line in the log, and shows that the gateway does its work. */
async function work(gateway: Gateway, streams: number): Promise<void> {
  for (let opened = 0; opened < streams; opened += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        await using stream = await listen(`${gateway.url}/channel/news/stream`, withKey(gateway));
        await stream.live();
      }),
    );
  }
  await listened(gateway, "news", 0);
  await using stream = await listen(`${gateway.url}/channel/news/stream`, withKey(gateway));
  await stream.live();
  await publish(gateway, { channel: "news", data: "hello" });
  expect(await stream.messages(1)).toMatchObject([{ data: "hello" }]);
}

function withKey({ secret }: Gateway) {
  return { authorization: `key=${secret}` };
}

describe("a gateway serves, and stops in order,", () => {
  test("when whoever reads its log has gone", async () => {
    const { written, read } = pipe("gone");
    await using gateway = await startGateway({ settings, stderr: written });
    closeSync(written);
    closeSync(read);
    await work(gateway, 50);
    expect(await gateway.stop()).toBe(0);
  });

  test("when whoever reads its log does not read", async () => {
    const { written, read } = pipe("stopped");
    try {
      await using gateway = await startGateway({ settings, stderr: written });
      await work(gateway, STREAMS);
      expect(await gateway.stop()).toBe(0);
    } finally {
      closeSync(written);
      closeSync(read);
    }
  }, 20_000);

  test("when the disk that its log goes to is full", async () => {
    const full = openSync("/dev/full", "w");
    try {
      await using gateway = await startGateway({ settings, stderr: full });
      await work(gateway, 50);
      expect(await gateway.stop()).toBe(0);
    } finally {
      closeSync(full);
    }
  });
});

test("what is thrown where nothing catches it is logged and counted, and the process goes on", async () => {
  await using gateway = await startGateway({ preload: "./tests/setup/throwing.ts" });
  await using stream = await listen(`${gateway.url}/channel/news/stream`, withKey(gateway));
  await stream.live();
  for (let round = 1; round <= 2; round++) {
    process.kill(gateway.pid, "SIGUSR2");
    while (errorsOf(gateway).length < 5 * round) await publish(gateway, { channel: "elsewhere" });
  }
  await publish(gateway, { channel: "news", data: "still here" });
  expect(await stream.messages(1)).toMatchObject([{ data: "still here" }]);
  const errors = errorsOf(gateway);
  expect(errors.map(({ errors }) => errors)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  const thrown = ["of a microtask", "of a rejection", "of a signal", "of a timer", "of an immediate"];
  expect(errors.map(({ err }) => err.message).sort()).toEqual(thrown.flatMap((message) => [message, message]));
  expect(await gateway.stop()).toBe(0);
});

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly errors: number;
  readonly err: { readonly message: string };
}

/** The errors in the log, of lines that are whole. */
function errorsOf({ output }: Gateway): readonly Line[] {
  const lines = output.split("\n").slice(0, -1);
  const logged = lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Line);
  return logged.filter(({ level }) => level >= 50);
}
