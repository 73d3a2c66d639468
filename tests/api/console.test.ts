import { afterAll, beforeAll, expect, test } from "bun:test";
import { request, serve, type Server } from "./fixture.ts";

let server: Server;
beforeAll(async () => void (server = await serve()));
afterAll(() => server[Symbol.asyncDispose]());

test("the console is one page that is open to all", async () => {
  const page = await request(server, "GET", "/console", { secret: null });
  expect(page.status).toBe(200);
  expect(page.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
  expect(page.headers.get("X-Request-Id")).toMatch(/^[0-9a-f]{16}$/);
  const html = await page.text();
  expect(html).toStartWith("<!doctype html>");
  // Nothing is fetched: no other host, and no file of this one.
  expect(html).not.toMatch(/<(?:link|script|img)[^>]* (?:src|href)="(?!data:)/);
});

test("the console runs its own script and style, reaches its own host, and stands in no frame", async () => {
  const page = await request(server, "GET", "/console", { secret: null });
  const policy = page.headers.get("Content-Security-Policy")!.split("; ");
  const html = await page.text();
  const digest = (element: string) => {
    const [, content] = new RegExp(`<${element}[^>]*>([^]*)</${element}>`).exec(html)!;
    return `'sha256-${Bun.SHA256.hash(content!, "base64")}'`;
  };
  expect(policy).toEqual([
    "default-src 'none'",
    `script-src ${digest("script")}`,
    `style-src ${digest("style")}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ]);
});

test("the address alone leads to the console, below a path too", async () => {
  const answer = await fetch(server.url, { redirect: "manual" });
  expect(answer.status).toBe(302);
  expect(answer.headers.get("Location")).toBe("console");
});
