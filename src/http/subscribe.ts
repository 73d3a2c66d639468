import type { App, Apps } from "../auth/app.ts";
import { authenticatePublisher } from "../auth/grant.ts";
import type { SigningKey } from "../auth/key.ts";
import { MAX_TOKEN_CHANNELS, MAX_USER_LENGTH, mintToken } from "../auth/token.ts";
import { isChannel, isPattern } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import { streamPath } from "../core/stream-path.ts";
import { success } from "./answer.ts";
import type { Gateway } from "./gateway.ts";
import { readParameters, type Parameters } from "./parameters.ts";
import { requestIdOf } from "./request-id.ts";

/**
 * `POST /channel/subscribe`: a token for channels, and the address with which an EventSource opens their stream.
 * `base` is the address that users see.
 */
export async function subscribe(gateway: Gateway, request: Request, base: string): Promise<Response> {
  const { maxBodyBytes, maxJsonDepth } = gateway.settings;
  const header = request.headers.get("authorization");
  const known = header === null ? null : authenticatePublisher(gateway.apps, header);
  const parameters = await readParameters(request, {
    maxBodyBytes: Math.min(maxBodyBytes || MAX_BODY_BYTES, MAX_BODY_BYTES),
    maxJsonDepth,
    room: known === null ? gateway.rooms.strangers : gateway.rooms.of(known.id),
  });
  const app = bySecret(gateway.apps, known, parameters);
  const channels = channelsOf(parameters, app.limits.maxChannelsPerStream);
  const { tokenTtlMs } = gateway.settings;
  const longest = longestTtlSeconds(gateway.settings);
  const ttlSeconds = parameters.integer("ttl", 1, longest) ?? Math.max(1, Math.floor(tokenTtlMs / 1000));
  const user = userOf(parameters);
  const now = gateway.clock.now();
  const jti = crypto.randomUUID();
  const revokedUpTo = user === undefined ? null : gateway.rulings.revokedUpTo(app.id, user);
  const { token, expiresAt } = mintToken(signerOf(app), { channels, ttlSeconds, now, jti, user, revokedUpTo });
  const address = `${base}${streamPath(channels)}token=${token}`;
  if (address.length > MAX_ADDRESS_LENGTH) {
    const detail = `The channels make an address of more than ${MAX_ADDRESS_LENGTH} characters; name fewer, or a pattern.`;
    throw new ApiError("channel_invalid", detail, "channel");
  }
  return success(
    { channel: channels.length === 1 ? channels[0] : channels, token, expires_at: rfc3339(expiresAt), url: address },
    requestIdOf(request),
  );
}

/** The secret may stand in the body, so anyone's is read; reading a megabyte of JSON can take 40 ms. */
const MAX_BODY_BYTES = 64 * 1024;

/** The most that `ttl` takes: a year where no token has a longest life. */
export function longestTtlSeconds({ maxTokenTtlMs }: Gateway["settings"]): number {
  return maxTokenTtlMs === 0 ? YEAR_SECONDS : Math.floor(maxTokenTtlMs / 1000);
}

const YEAR_SECONDS = 366 * 86_400;

/** Bun answers 431 to a request line and headers of together more than 16 KB; a browser's headers take 1 to 2 of them. */
const MAX_ADDRESS_LENGTH = 14_000;

/** `app_secret` stands for the header here, as the API document has it; `known` is the app that the header names. */
function bySecret(apps: Apps, known: App | null, parameters: Parameters): App {
  const secret = parameters.text("app_secret");
  if (known === null) return authenticatePublisher(apps, secret === undefined ? null : `key=${secret}`);
  if (secret === undefined) return known;
  throw new ApiError("parameter_repeated", "Give either `app_secret` or the Authorization header.", "app_secret");
}

/** Throws ApiError `forbidden` for an app whose tokens somebody else mints. */
function signerOf({ signer }: App): SigningKey {
  if (signer !== null) return signer;
  const detail = "The app has only public keys for tokens, so none can be made here; mint them with the private key.";
  throw new ApiError("forbidden", detail);
}

function channelsOf(parameters: Parameters, most: number): string[] {
  const channels = parameters.list("channel", "channel_invalid");
  if (channels === undefined || channels.length === 0) {
    throw new ApiError("channel_invalid", "`channel` takes a name, a pattern, or several.", "channel");
  }
  checkNames(channels, most === 0 ? MAX_TOKEN_CHANNELS : Math.min(most, MAX_TOKEN_CHANNELS));
  return channels;
}

/** Throws ApiError `channel_invalid` unless all are names or patterns, and not too many. */
export function checkNames(names: readonly string[], most: number): void {
  if (most !== 0 && names.length > most) {
    throw new ApiError("channel_invalid", `A stream takes at most ${most} channels and patterns.`, "channel");
  }
  if (names.every((name) => isChannel(name) || isPattern(name))) return;
  const detail =
    "A channel takes 1 to 200 printable ASCII characters without space; in a pattern `*` is one whole segment, and `**`, only last, is one or more.";
  throw new ApiError("channel_invalid", detail, "channel");
}

function userOf(parameters: Parameters): string | undefined {
  const user = parameters.text("user");
  if (user === undefined || (user.length > 0 && user.length <= MAX_USER_LENGTH)) return user;
  throw new ApiError("parameter_invalid", `\`user\` takes 1 to ${MAX_USER_LENGTH} characters.`, "user");
}

export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
