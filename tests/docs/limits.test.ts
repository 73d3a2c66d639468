import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type RunningServer } from "../../src/index.ts";
import { read } from "./markdown.ts";

/** What the README says that Bun takes of a request line and headers. */
const HEAD_BYTES = 16_384;
const HEAD_FIELDS = 198;

let folder: string;
let server: RunningServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "service-socket-docs-"));
  const argv = [
    "--port",
    "0",
    "--host",
    "127.0.0.1",
    "--broker",
    "memory:",
    "--data",
    join(folder, "data"),
    "--drain",
    "0",
  ];
  server = await createServer({ argv });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The first line of the answer to what is sent as it is. */
async function statusOf(request: string): Promise<string> {
  const answered = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: {
      data(_socket, bytes) {
        text += bytes.toString();
        const end = text.indexOf("\r\n");
        if (end !== -1) answered.resolve(text.slice(0, end));
      },
      close: () => answered.resolve("closed"),
      error: (_socket, error) => answered.reject(error),
    },
  });
  socket.write(request);
  return await answered.promise.finally(() => socket.end());
}

function ofBytes(bytes: number): string {
  const [before, after] = ["GET /healthz?", " HTTP/1.1\r\nHost: a\r\n\r\n"];
  return `${before}${"x".repeat(bytes - before.length - after.length)}${after}`;
}

function ofFields(fields: number): string {
  const more = Array.from({ length: fields - 1 }, (_, i) => `x${i}: 1\r\n`);
  return `GET /healthz HTTP/1.1\r\nHost: a\r\n${more.join("")}\r\n`;
}

test("a request line and headers are taken up to what the README says, and beyond it are 431", async () => {
  expect(await statusOf(ofBytes(HEAD_BYTES))).toBe("HTTP/1.1 200 OK");
  expect(await statusOf(ofBytes(HEAD_BYTES + 1))).toStartWith("HTTP/1.1 431 ");
  expect(await statusOf(ofFields(HEAD_FIELDS))).toBe("HTTP/1.1 200 OK");
  expect(await statusOf(ofFields(HEAD_FIELDS + 1))).toStartWith("HTTP/1.1 431 ");
  expect(read("README.md")).toContain(
    `${HEAD_BYTES.toLocaleString("en-US")} bytes of request line and headers together`,
  );
  expect(read("README.md")).toMatch(new RegExp(`and ${HEAD_FIELDS} header\\s+fields`));
});

test("a Content-Length that is no number is a 400", async () => {
  const request = "POST /chat/send HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n";
  expect(await statusOf(request)).toBe("HTTP/1.1 400 Bad Request");
});
