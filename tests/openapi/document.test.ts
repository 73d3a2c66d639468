import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ERRORS } from "../../src/core/errors.ts";
import { read, request, serve, type Server } from "../api/fixture.ts";
import { closed, conforms, DOCUMENT, misfit, OPERATIONS, type Schema } from "./document.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());

/** To compile a hundred schemas takes a second, and several on a busy machine. */
const TIMEOUT_MS = 30_000;

function batchOf(messages: number): unknown {
  return Array.from({ length: messages }, () => ({ channel: "a" }));
}

function get(path: string, accept?: string): Promise<Response> {
  return request(server, "GET", path, { secret: null, headers: accept === undefined ? {} : { Accept: accept } });
}

describe("the document", () => {
  test(
    "is an OpenAPI 3.1 document by the schema of the specification",
    async () => {
      const validator = new Validator();
      const { valid, errors } = await validator.validate(
        structuredClone(DOCUMENT) as object as Record<string, unknown>,
      );
      expect([valid, errors]).toEqual([true, undefined]);
      expect(validator.version).toBe("3.1");
    },
    TIMEOUT_MS,
  );

  test("has an id of its own, words, and the credentials of every operation", () => {
    expect(OPERATIONS.length).toBeGreaterThan(12);
    expect(new Set(OPERATIONS.map(({ operation }) => operation.operationId)).size).toBe(OPERATIONS.length);
    for (const { operation } of OPERATIONS) {
      expect(operation).toMatchObject({
        summary: expect.stringMatching(/\S/) as string,
        description: expect.stringMatching(/\S/) as string,
        tags: [expect.stringMatching(/\S/) as string],
        security: expect.any(Array) as Schema[],
      });
    }
  });

  test(
    "has an example of every body and of every answer, each of which is as its schema says",
    () => {
      let examples = 0;
      for (const { path, operation } of OPERATIONS) {
        const answers = Object.values(operation.responses).flatMap(({ content }) => Object.values(content));
        const json = operation.requestBody?.content["application/json"];
        for (const { schema, example, examples: named } of [...answers, ...(json === undefined ? [] : [json])]) {
          const values = named === undefined ? [example] : Object.values(named).map(({ value }) => value);
          expect([path, values.includes(undefined), values.length > 0]).toEqual([path, false, true]);
          for (const value of values) expect([path, misfit(closed(schema), value)]).toEqual([path, null]);
          examples += values.length;
        }
      }
      expect(examples).toBeGreaterThan(100);
    },
    TIMEOUT_MS,
  );

  test("gives every error's status and sentence as the table has them, and leaves out those of no address", () => {
    const told = new Map<string, unknown>();
    for (const { operation } of OPERATIONS) {
      for (const { content } of Object.values(operation.responses)) {
        for (const [type, { value }] of Object.entries(content["application/json"]?.examples ?? {})) {
          const { code, message } = value as { code: number; message: string };
          told.set(type, { status: code, message });
        }
      }
    }
    const { not_found: _none, ...known } = ERRORS;
    expect(Object.fromEntries(told)).toEqual(known);
  });
});

describe("/openapi", () => {
  test("is the document to a program and a page to a browser", async () => {
    for (const [path, accept] of [
      ["/openapi", undefined],
      ["/openapi", "application/json"],
      ["/openapi/json", undefined],
      ["/openapi/json", "text/html"],
    ] as const) {
      const answer = await get(path, accept);
      expect([answer.status, answer.headers.get("Content-Type")]).toEqual([200, "application/json"]);
      expect(await answer.json()).toMatchObject({ openapi: "3.1.0", ...DOCUMENT });
    }
    const page = await get("/openapi", "text/html,application/xhtml+xml,*/*;q=0.8");
    expect(page.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("Vary")).toBe("Accept");
    expect(await page.text()).toStartWith("<!doctype html>");
  });

  test("has nothing from another host, and no room for it", async () => {
    const page = await get("/openapi", "text/html");
    const policy = page.headers.get("Content-Security-Policy")!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/);
    const parts = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part]) => part!);
    expect(parts).toEqual(["data:,", "openapi/viewer.css", "openapi/viewer.js"]);
    for (const part of parts.slice(1)) {
      const { status, headers } = await request(server, "HEAD", `/${part}`, { secret: null });
      expect([status, Number(headers.get("Content-Length")) > 100_000]).toEqual([200, true]);
      expect(headers.get("Content-Type")).toMatch(/^text\/(css|javascript); charset=utf-8$/);
    }
  });

  test("gives no other file", async () => {
    for (const name of ["package.json", "viewer.html", "..%2fpackage.json", "index.js"]) {
      expect((await read(await get(`/openapi/${name}`))).error).toMatchObject({ type: "not_found" });
    }
  });

  test("tells the limits that all apps have, and no app's own", async () => {
    const apps = [
      {
        id: "shop",
        secrets: ["secret-of-the-shop-that-is-long-enough-for-it"],
        max_batch: 7,
        max_channels_per_stream: 5,
      },
      { id: "blog", secrets: ["secret-of-the-blog-that-is-long-enough-for-it"], max_batch: 7, replay_limit: 0 },
    ];
    await using limited = await serve({ apps, settings: { SOCKET_MAX_TOKEN_TTL: "1m" } });
    const { paths } = (await (await request(limited, "GET", "/openapi/json")).json()) as typeof DOCUMENT;
    const body = (path: string) => paths[path]!["post"]!.requestBody!.content["application/json"]!.schema;
    expect(misfit(body("/chat/send-multi"), batchOf(7))).toBeNull();
    expect(misfit(body("/chat/send-multi"), batchOf(8))).not.toBeNull();
    expect(misfit(body("/channel/subscribe"), { channel: "a", ttl: 60 })).toBeNull();
    expect(misfit(body("/channel/subscribe"), { channel: "a", ttl: 61 })).not.toBeNull();
    expect(misfit(body("/channel/subscribe"), { channel: Array.from({ length: 60 }, () => "a") })).toBeNull();
    const last = paths["/stream"]!["get"]!.parameters.find(({ name }) => name === "last")!;
    expect(misfit(last.schema, 1e9)).toBeNull();
  });

  test("names the address that users see", async () => {
    await using elsewhere = await serve({ settings: { SOCKET_PUBLIC_URL: "https://events.example.com/sse" } });
    const document = await request(elsewhere, "GET", "/openapi/json");
    expect(await document.json()).toMatchObject({ servers: [{ url: "https://events.example.com/sse" }] });
    const page = await request(elsewhere, "GET", "/openapi", { headers: { Accept: "text/html" } });
    expect(page.headers.get("Content-Security-Policy")).toContain("connect-src 'self' https://events.example.com");
  });
});

describe("the check of answers, which every test of the API makes,", () => {
  const headers = { "Content-Type": "application/json", "X-Request-Id": "0123456789abcdef" };
  const body = { code: 0, data: { id: "e-1", channel: "a", subscribers: 0 }, message: "Success", Error: null };
  const answer = { status: 200, headers: new Headers(headers), body };

  test("takes what is documented", () => {
    expect(() => conforms("POST", "/chat/send", answer)).not.toThrow();
  });

  test.each([
    ["of another shape", { ...answer, body: { ...body, data: { id: "e-1", channel: "a" } } }],
    ["with a member more", { ...answer, body: { ...body, data: { ...body.data, more: 1 } } }],
    ["of a status that is not documented", { ...answer, status: 201 }],
    ["without an id", { ...answer, headers: new Headers({ "Content-Type": "application/json" }) }],
    ["of another type", { ...answer, headers: new Headers({ ...headers, "Content-Type": "text/html" }) }],
  ])("refuses one %s", (_what, wrong) => {
    expect(() => conforms("POST", "/chat/send", wrong)).toThrow("documented");
  });
});
