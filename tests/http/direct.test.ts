import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Server } from "bun";
import { DirectSink, type DirectEvents } from "../../src/http/direct.ts";

const BYTES = new Uint8Array(64 * 1024);

let server: Server<unknown>;
function answer(): Response {
  return new Response(new DirectSink(events).body, { headers: { Connection: "close" } });
}

/** What the next stream's owner does. */
let events: DirectEvents;
let failed: string[] = [];
let told: PromiseWithResolvers<void>;

beforeAll(() => {
  server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answer });
});
afterAll(() => server.stop(true));

/** An owner that throws at `name`. Another throw than these would end the process of the tests. */
function throwing(name: "opened" | "gone" | "drained", opened: DirectEvents["opened"]): void {
  failed = [];
  told = Promise.withResolvers();
  const thrown = () => {
    throw new Error(name);
  };
  const quiet = { opened, gone: () => undefined, drained: () => undefined };
  events = {
    ...quiet,
    [name]: thrown,
    failed: (error) => {
      failed.push((error as Error).message);
      told.resolve();
    },
  };
}

test("a stream whose beginning throws ends, and the owner is told that and that the listener has left", async () => {
  throwing("opened", () => undefined);
  const gone = Promise.withResolvers<void>();
  events = { ...events, gone: gone.resolve };
  const connection = connect(server.port!, "127.0.0.1");
  connection.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const ended = new Promise((resolve) => connection.resume().once("close", resolve));
  await Promise.all([told.promise, gone.promise, ended]);
  expect(failed).toEqual(["opened"]);
});

test("an owner that throws when the listener has left is told so, once", async () => {
  throwing("gone", (sink) => void sink.write(BYTES));
  const connection = connect(server.port!, "127.0.0.1");
  connection.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  connection.once("data", () => connection.destroy());
  await told.promise;
  expect(failed).toEqual(["gone"]);
});

test("an owner that throws when a full sink has drained is told so", async () => {
  throwing("drained", (sink) => {
    while (sink.write(BYTES)); // to what both ends' buffers hold
  });
  const connection = connect(server.port!, "127.0.0.1");
  connection.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  connection.resume();
  await told.promise;
  expect(failed).toEqual(["drained"]);
  connection.destroy();
});
