import { createHmac } from "node:crypto";
import { expect } from "bun:test";
import { ApiError, type ErrorType } from "../../src/core/errors.ts";
import type { Apps } from "../../src/auth/app.ts";
import { openApps } from "../../src/auth/open-apps.ts";
import { loadConfig } from "../../src/config.ts";

export const SHOP = "shop-secret-".padEnd(40, "s");
export const SHOP_OLD = "shop-old-".padEnd(40, "o");
export const BLOG = "blog-secret-".padEnd(40, "b");

/** 2026-01-01T00:00:00Z; the tests' clock stands there. */
export const NOW = Date.UTC(2026, 0, 1);
export const NOW_S = NOW / 1000;
export const DAY_MS = 86_400_000;

/** Two apps: `shop`, with a secret that is being rotated out and public `news` and `open.*`, and `blog`. */
export function twoApps(): Apps {
  const settings = loadConfig({
    env: { SOCKET_CONFIG: "conf.json" },
    readFile: () =>
      JSON.stringify({
        apps: [
          { id: "shop", secrets: [SHOP, SHOP_OLD], public_channels: ["news", "open.*"] },
          { id: "blog", secrets: [BLOG] },
        ],
      }),
  });
  return openApps(settings.apps).apps;
}

/** The one app of a node without a file: `default`, with the secret SHOP and public `news`. */
export function oneApp(): Apps {
  const settings = loadConfig({ env: { APP_SECRET: SHOP, SOCKET_PUBLIC_CHANNELS: "news" } });
  return openApps(settings.apps).apps;
}

export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** A JWT made by hand (RFC 7515, RFC 7519), independent of the library that reads it. */
export function sign(secret: string, header: Record<string, unknown>, claims: unknown, hash = "sha256"): string {
  const signed = `${encode(header)}.${typeof claims === "string" ? claims : encode(claims)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest("base64url")}`;
}

export const CLAIMS = { channels: ["room.1"], aud: "service-socket", exp: NOW_S + 3600 } as const;

/** A good token of `shop` for `room.1`, but for what is given. */
export function token(claims: Record<string, unknown> = {}, secret: string = SHOP, kid: unknown = "shop"): string {
  return sign(secret, { alg: "HS256", typ: "JWT", kid }, { ...CLAIMS, ...claims });
}

/** The refusal of a promise or call, checked to be one that the caller is told about. */
export async function refusal(type: ErrorType, act: () => unknown): Promise<ApiError> {
  let thrown: unknown = null;
  try {
    await act();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(ApiError);
  expect((thrown as ApiError).type).toBe(type);
  return thrown as ApiError;
}
