import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import { publish, serve, type Server } from "./fixture.ts";
import { type Listening, listen } from "./listening.ts";

/**
 * A server for a file of requests that must all be refused. After each test it is still well and nothing was published:
 * the next message has the next position, and is the next that a listener to everything hears.
 */
export function unchanged(settings: Readonly<Record<string, string>> = {}): { readonly server: Server } {
  let server: Server;
  let listener: Listening;
  let head = "";

  beforeAll(async () => {
    server = await serve({ settings });
    listener = await (await listen(`${server.url}/stream?channel=**`)).live();
    head = (await publish(server, "before", "x")).id;
    await listener.messages(1);
  });
  afterEach(async () => {
    const [epoch, seq] = head.split("-");
    head = (await publish(server, "after", "x")).id;
    expect(head).toBe(`${epoch}-${Number(seq) + 1}`);
    expect(await listener.messages(1)).toMatchObject([{ id: head, data: "x" }]);
  });
  afterAll(async () => {
    await listener[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  return {
    get server() {
      return server;
    },
  };
}
