import { describe, expect, test } from "bun:test";
import { ApiError, ERRORS, type ErrorType } from "../../src/core/errors.ts";
import { failure, nextRequestId, success, successJson } from "../../src/http/answer.ts";

const unexpected = (): void => expect.unreachable("nothing is logged of an ApiError");

describe("a success", () => {
  test("has exactly the shape of the API", async () => {
    const response = success({ id: "a-1" }, "r1");
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual({
      "cache-control": "no-store",
      "content-type": "application/json",
      "x-request-id": "r1",
    });
    expect(await response.text()).toBe('{"code":0,"data":{"id":"a-1"},"message":"Success","Error":null}');
  });

  test("takes data that is JSON text already, as it is", async () => {
    expect(await successJson("[12345678901234567890]", "r1").text()).toContain('"data":[12345678901234567890],');
  });
});

describe("a failure", () => {
  test("of every type has its status and the one shape", async () => {
    for (const type of Object.keys(ERRORS) as ErrorType[]) {
      const response = failure(new ApiError(type, "Why.", "body[3].event"), "r1", unexpected);
      const { status, message } = ERRORS[type];
      expect(response.status).toBe(status);
      expect(response.headers.get("Content-Type")).toBe("application/json");
      expect(response.headers.get("X-Request-Id")).toBe("r1");
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      expect(await response.json()).toEqual({
        code: status,
        data: {},
        message,
        Error: { type, detail: "Why.", field: "body[3].event", request_id: "r1" },
      });
    }
  });

  test("without a field names none", async () => {
    const body = (await failure(new ApiError("not_found", "Why."), "r1", unexpected).json()) as { Error: object };
    expect(Object.keys(body.Error)).toEqual(["type", "detail", "request_id"]);
  });

  test("of a credential says how to give one", () => {
    const { headers } = failure(new ApiError("unauthorized", "Why."), "r1", unexpected);
    expect(headers.get("WWW-Authenticate")).toBe("Bearer");
  });

  test("that will pass says when to come again", () => {
    for (const type of ["limit_exceeded", "unavailable"] as const) {
      const error = new ApiError(type, "Why.");
      expect(failure(error, "r1", unexpected).headers.get("Retry-After")).toBe("1");
    }
  });

  test("of which is known when it will pass says that, in seconds that are not too few", () => {
    for (const [waitMs, seconds] of [
      [1, "1"],
      [1000, "1"],
      [1001, "2"],
      [90_000, "90"],
    ] as const) {
      const error = new ApiError("limit_exceeded", "Why.", undefined, waitMs);
      expect(failure(error, "r1", unexpected).headers.get("Retry-After")).toBe(seconds);
    }
  });

  test("carries the headers that its caller gives", () => {
    const error = new ApiError("method_not_allowed", "Why.");
    expect(failure(error, "r1", unexpected, { headers: { Allow: "POST" } }).headers.get("Allow")).toBe("POST");
  });

  test("that nobody foresaw tells its request id and nothing else, and is logged", async () => {
    for (const error of [new Error("the secret path /var/x"), "the secret text", undefined, null]) {
      const logged: unknown[] = [];
      const response = failure(error, "r1", (...told) => logged.push(told));
      expect(response.status).toBe(500);
      const text = await response.text();
      expect(text).not.toContain("secret");
      expect(JSON.parse(text)).toMatchObject({ code: 500, data: {}, Error: { type: "internal", request_id: "r1" } });
      expect(logged).toEqual([["r1", error]]);
    }
  });
});

test("a request id is given once", () => {
  const ids = Array.from({ length: 10_000 }, nextRequestId);
  expect(new Set(ids).size).toBe(10_000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
});
