import { createHmac } from "node:crypto";
import { SECRET } from "./fixture.ts";

/** What a good token for `channels` says; `now` in milliseconds. */
export function claims(channels: unknown, now = Date.now(), ttlSeconds = 60): Record<string, unknown> {
  return { channels, aud: "service-socket", exp: Math.floor(now / 1000) + ttlSeconds };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** A JWT (RFC 7515, RFC 7519) made with nothing but an HMAC, as a backend without a library would. */
export function sign(content: unknown, secret = SECRET, header: object = { alg: "HS256", kid: "default" }): string {
  const signed = `${encode(header)}.${encode(content)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** The claims of a token, unverified. */
export function claimsOf(token: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) as Record<string, unknown>;
}
