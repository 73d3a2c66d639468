import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { post, reach, Refusal } from "../../src/cli/api.ts";

/** Takes requests and never answers them. */
let silent: Bun.Server<unknown>;
beforeAll(() => {
  silent = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: () => new Promise<Response>(() => {}) });
});
afterAll(async () => silent.stop(true));

function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("it succeeded"),
    (error: unknown) => error,
  );
}

describe("a gateway that takes a request and does not answer", () => {
  test("is given up on, and may answer later", async () => {
    const error = await failure(post(`${silent.url}chat/send-multi`, "x", "[]", {}, 50));
    expect(error).toBeInstanceOf(Refusal);
    expect(error).toMatchObject({ willPass: true, message: `${silent.url.origin} does not answer in time` });
  });

  test("is left when the command ends", async () => {
    const end = new AbortController();
    const error = failure(reach(silent.url.href, { signal: end.signal }));
    end.abort();
    expect(await error).toMatchObject({ name: "AbortError" });
  });
});
