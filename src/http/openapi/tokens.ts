import { Type } from "@sinclair/typebox";
import { ANYONE, body, failures, type Most, type Operation, query, SECRET, success } from "./operation.ts";
import {
  Address,
  Cookie,
  Ended,
  Expires,
  Nothing,
  Renewal,
  Renewed,
  Revocation,
  RevocationForm,
  STREAM,
  subscription,
  TIME,
  TOKEN,
} from "./schemas.ts";

const BODY_ERRORS = [
  "bad_request",
  "parameter_invalid",
  "parameter_repeated",
  "body_invalid",
  "unauthorized",
  "payload_too_large",
  "unsupported_media_type",
  "unavailable",
] as const;

const EXAMPLE = {
  channel: "news",
  token: TOKEN,
  expires_at: TIME,
  url: `http://localhost:3000/channel/news/stream?token=${TOKEN}`,
};

export const subscribe = (most: Most): Operation => ({
  operationId: "subscribe",
  tags: ["Tokens"],
  summary: "Make a token, and the address of a stream",
  description:
    "For a listener who must not hold the secret, such as a browser. At most `SOCKET_MAX_CHANNELS_PER_STREAM` channels and patterns, and an address of at most 14,000 characters. Each parameter may stand in the query string instead; the secret also as `app_secret`, in place of the header.",
  security: SECRET,
  parameters: [],
  requestBody: body(
    subscription(most, false),
    { channel: "room.*", ttl: Math.min(3600, most.ttlSeconds), user: "ann" },
    subscription(most, true),
  ),
  responses: {
    200: success("The token and the address.", Address, EXAMPLE),
    ...failures(...BODY_ERRORS, "channel_invalid", "forbidden"),
  },
});

export const renew: Operation = {
  operationId: "renew",
  tags: ["Tokens"],
  summary: "Let a stream go on with a fresh token",
  description:
    "The fresh token must be of the same user (`sub`), cover all that the stream listens to, and expire later. Until then the stream's address, with the old token in it, is let in again. Pages of the app's origins may call it.",
  security: ANYONE,
  parameters: [],
  requestBody: body(Renewal, { stream: STREAM, token: TOKEN }, Renewal),
  responses: {
    200: success("The stream goes on.", Renewed, { stream: STREAM, expires_at: TIME }),
    ...failures(...BODY_ERRORS, "forbidden", "stream_not_found", "limit_exceeded"),
  },
};

export const revoke: Operation = {
  operationId: "revoke",
  tags: ["Tokens"],
  summary: "End streams, and keep their tokens out",
  description:
    "Of one token, of a user (all tokens that were issued until now), or of one stream (the token that it was opened with, and what renewed that). Each stream is told `socket:close` with `revoked`.",
  security: SECRET,
  parameters: [],
  requestBody: body(Revocation, { user: "mallory" }, RevocationForm),
  responses: {
    200: success("The revocation is kept and the streams have ended.", Ended, { streams: 1, complete: true }),
    ...failures(...BODY_ERRORS, "forbidden", "stream_not_found", "limit_exceeded"),
  },
};

const COOKIE = (value: string) => ({
  "Set-Cookie": {
    required: true,
    schema: Type.String({ examples: [`__Host-socket-default=${value}; Path=/; HttpOnly; Secure; SameSite=Strict`] }),
  },
});

export const setCookie: Operation = {
  operationId: "setCookie",
  tags: ["Tokens"],
  summary: "Keep a page's token in a cookie",
  description:
    "For pages of the origins in `SOCKET_COOKIE_ORIGINS`, of the same site: they then open streams without a token in the address.",
  security: ANYONE,
  parameters: [],
  requestBody: body(Cookie, { token: TOKEN }, Cookie),
  responses: {
    200: success("The cookie is set.", Expires, { expires_at: TIME }, COOKIE(TOKEN)),
    ...failures(...BODY_ERRORS, "forbidden"),
  },
};

export const dropCookie: Operation = {
  operationId: "dropCookie",
  tags: ["Tokens"],
  summary: "Take the cookie back",
  description: "For the same pages.",
  security: ANYONE,
  parameters: [query("app", Type.String({ description: "The app's id; needed where there are several." }))],
  responses: {
    200: success("The cookie is gone.", Nothing, {}, COOKIE("")),
    ...failures("bad_request", "parameter_invalid", "parameter_repeated", "forbidden"),
  },
};
