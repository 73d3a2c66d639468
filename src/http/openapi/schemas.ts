import { type TSchema, Type } from "@sinclair/typebox";
import { MAX_TOKEN_CHANNELS, MAX_USER_LENGTH } from "../../auth/token.ts";
import type { Most } from "./operation.ts";

/** Ids in examples. */
export const EPOCH = "k3v9x2m7qa";
export const TIME = "2030-01-31T12:00:00.000Z";
export const STREAM = "5e97d7a4b219a11a";
export const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJzZXJ2aWNlLXNvY2tldCJ9.c2lnbmF0dXJl";

export const Name = Type.String({
  pattern: String.raw`^[\x21-\x29\x2b-\x7e]{1,200}$`,
  description: "A channel: 1 to 200 printable ASCII characters without space and `*`.",
  examples: ["news"],
});

export const NameOrPattern = Type.String({
  pattern: String.raw`^(?=[\x21-\x7e]{1,200}$)((\*|[^.*]*)\.)*(\*\*?|[^.*]*)$`,
  description:
    "A channel, or a pattern: segments are parted by `.`, `*` is exactly one whole segment, `**`, only last, is one or more.",
  examples: ["room.*"],
});

export const Id = Type.String({
  pattern: "^[0-9a-z]{1,32}-(0|[1-9][0-9]{0,15})$",
  description: "A position in the app's one sequence of messages: the id of a message, and the SSE `id`. Opaque.",
  examples: [`${EPOCH}-3`],
});

export const User = Type.String({
  minLength: 1,
  maxLength: MAX_USER_LENGTH,
  description: "Who listens: `sub` of the token.",
  examples: ["ann"],
});

export const Token = Type.String({ description: "A listener's token, a JWT.", examples: [TOKEN] });

export const StreamId = Type.String({ description: "A stream's id, as `socket:open` tells it.", examples: [STREAM] });

export const Time = Type.String({ format: "date-time", description: "RFC 3339, in UTC.", examples: [TIME] });

/** A value, or null: in what is asked null is the same as absent. */
export function orNull(schema: TSchema): TSchema {
  return Type.Union([schema, Type.Null()]);
}

function optional(schema: TSchema): TSchema {
  return Type.Optional(orNull(schema));
}

// Controls stand in no event's name: it is one line of the stream.
const EVENT = String.raw`^(?!socket:)(?!(error|open)$)[^\u0000-\u001f\u007f-\u009f]{1,200}$`;

const Event = Type.String({
  pattern: EVENT,
  description: "The SSE event's name; `message` by default. `socket:…`, `error` and `open` cannot be published.",
  examples: ["price"],
});

export const Draft = Type.Object({
  channel: Name,
  event: optional(Event),
  data: Type.Optional(
    Type.Unknown({
      description:
        "A string is sent as it is, any other value, null too, as the JSON text that was given. At most `SOCKET_MAX_DATA_BYTES`.",
      examples: [{ eur: 12.5 }],
    }),
  ),
});

/** In a form everything is text. */
export const DraftForm = Type.Object({
  channel: Name,
  event: Type.Optional(Event),
  data: Type.Optional(Type.String({ description: "The text; it is never parsed.", examples: ["hello"] })),
});

export const batch = ({ batch: maxItems }: Most) =>
  Type.Array(Draft, {
    description: "At most `SOCKET_MAX_BATCH` messages.",
    ...(maxItems !== undefined && { maxItems }),
  });

export const Sent = Type.Object({
  id: Id,
  channel: Name,
  subscribers: Type.Integer({
    minimum: 0,
    description: "Streams on this node that the channel matched at that moment.",
    examples: [2],
  }),
});

const channels = (maxItems: number) =>
  Type.Union([NameOrPattern, Type.Array(NameOrPattern, { minItems: 1, maxItems })]);

/** Of a form a member that is there has a value. */
export function subscription(most: Most, form: boolean): TSchema {
  const may = (schema: TSchema) => (form ? Type.Optional(schema) : optional(schema));
  const ttl = Type.Integer({
    minimum: 1,
    maximum: most.ttlSeconds,
    description: "Seconds, at most `SOCKET_MAX_TOKEN_TTL`; `SOCKET_TOKEN_TTL` by default.",
  });
  const channel = channels(Math.min(most.channels ?? MAX_TOKEN_CHANNELS, MAX_TOKEN_CHANNELS));
  return Type.Object({ channel, ttl: may(ttl), user: may(User) });
}

export const Address = Type.Object({
  channel: channels(MAX_TOKEN_CHANNELS),
  token: Token,
  expires_at: Time,
  url: Type.String({ format: "uri", description: "The stream, ready for an EventSource." }),
});

export const Renewal = Type.Object({ stream: StreamId, token: Token }, { additionalProperties: false });

export const Cookie = Type.Object({ token: Token }, { additionalProperties: false });

export const Renewed = Type.Object({ stream: StreamId, expires_at: Time });

const REVOKED = {
  token: Type.String({ minLength: 1, maxLength: MAX_USER_LENGTH, description: "A token's `jti`; or the token." }),
  user: User,
  stream: Type.String({ minLength: 1, maxLength: MAX_USER_LENGTH, description: "A stream's id.", examples: [STREAM] }),
};

/** One of the three. */
export const Revocation = Type.Union(
  Object.entries(REVOKED).map(([kind, schema]) => {
    const others = Object.keys(REVOKED).filter((other) => other !== kind);
    return Type.Object({
      [kind]: schema,
      ...Object.fromEntries(others.map((one) => [one, Type.Optional(Type.Null())])),
    });
  }),
);

export const RevocationForm = Type.Union(
  Object.entries(REVOKED).map(([kind, schema]) => {
    const others = Object.keys(REVOKED).filter((other) => other !== kind);
    return Type.Object({ [kind]: schema }, { not: { anyOf: others.map((one) => ({ required: [one] })) } });
  }),
);

/** Of answers that several nodes make together. */
const Complete = Type.Boolean({ description: "Whether every node has answered; false while one is silent." });

export const Ended = Type.Object({
  streams: Type.Integer({ minimum: 0, description: "How many it ended, on all nodes.", examples: [1] }),
  complete: Complete,
});

const ChannelSummary = Type.Object({
  channel: Name,
  subscribers: Type.Integer({ minimum: 0, description: "Streams that listen to it, on all nodes.", examples: [2] }),
  oldest: orNull(Id),
  newest: orNull(Id),
});

export const ChannelState = Type.Object({ ...ChannelSummary.properties, complete: Complete });

const Envelope = Type.Object({
  channel: Name,
  event: Type.String({ examples: ["message"] }),
  data: Type.Unknown({ description: "The JSON value that was published, in the text that was given; or the string." }),
  id: Id,
  time: Time,
});

const Gap = Type.Object({
  reason: Type.Union(["trimmed", "unproven", "epoch", "unknown_position"].map((reason) => Type.Literal(reason))),
  oldest: orNull(Id),
  newest: Id,
  asked: Type.String(),
});

export const History = Type.Object({
  channel: Name,
  messages: Type.Array(Envelope),
  through: Type.Intersect([Id], { description: "What to give as `after` for the next page." }),
  gap: Type.Union([Gap, Type.Null()], { description: "Why what follows `after` is not complete; else null." }),
});

export const ChannelList = Type.Object({
  channels: Type.Array(ChannelSummary),
  next: Type.Union([Name, Type.Null()], { description: "What to give as `after` for the next page; null for none." }),
  complete: Complete,
});

/** A node of the examples. */
export const NODE = "c3b1f0a2d4e59687";

/** Where a page of streams ends. */
export const Place = Type.String({ pattern: "^[0-9a-f]{16}-[0-9]{1,15}$", examples: [`${NODE}-17`] });

const StreamState = Type.Object({
  stream: StreamId,
  node: Type.String({ description: "Names the node, from its start to its end.", examples: [NODE] }),
  channels: Type.Array(NameOrPattern),
  user: orNull(User),
  grant: Type.Union(["secret", "token", "cookie", "public"].map((kind) => Type.Literal(kind))),
  token: Type.Union([Type.String(), Type.Null()], { description: "The token's `jti`." }),
  since: Time,
  expires_at: orNull(Time),
  position: Type.Union([Id, Type.Null()], { description: "Up to where the stream was sent everything." }),
  state: Type.Union([Type.Literal("live"), Type.Literal("behind")]),
});

export const StreamList = Type.Object({
  streams: Type.Array(StreamState),
  next: Type.Union([Place, Type.Null()], { description: "What to give as `after` for the next page; null for none." }),
  complete: Complete,
});

export const Status = (word: string) => Type.Object({ status: Type.Literal(word) });

export const Expires = Type.Object({ expires_at: Time });

export const Nothing = Type.Object({});
