import { type SchemaOptions, type Static, type TSchema, Type } from "@sinclair/typebox";
import { parseDuration } from "../core/duration.ts";
import { KINDS, type KindName, parseSize } from "./values.ts";

/** What stands beside a setting's type, so that `--help`, documents and the loader read from one table. */
export interface Facts {
  readonly kind: KindName;
  readonly description: string;
  /** The name of the environment variable; flags and keys of the file are made from it. */
  readonly env: string;
  /** The default as its owner would write it; null where `unset` tells what holds instead. */
  readonly shown: string | null;
  readonly unset?: string;
  /** An app of the settings file may have its own. */
  readonly perApp?: true;
  /** False for what must not stand in a process list. */
  readonly flag?: false;
}

type Extra = Partial<Pick<Facts, "perApp" | "flag">> & { readonly minimum?: number; readonly maximum?: number };

/**
 * Timers are 32-bit milliseconds: one of more than 24.8 days fires at once. 20 days leave room for jitter of a fifth.
 */
const LONGEST_TIMER_MS = 20 * 86_400_000;

const ONE_APP = { perApp: true } as const;
const TIMER = { maximum: LONGEST_TIMER_MS } as const;

function facts(kind: KindName, env: string, shown: string | null, description: string, extra: Extra): SchemaOptions {
  return { kind, env, shown, description, ...extra } satisfies Facts & Extra;
}

function count(env: string, value: number, description: string, extra: Extra = {}) {
  const more = facts("count", env, String(value), description, extra);
  return Type.Integer({ minimum: 0, ...more, unit: "count", default: value });
}

function duration(env: string, shown: string, description: string, extra: Extra = {}) {
  const more = facts("duration", env, shown, description, extra);
  return Type.Integer({ minimum: 0, ...more, unit: "ms", default: parseDuration(shown) });
}

function size(env: string, shown: string, description: string, extra: Extra = {}) {
  const more = facts("size", env, shown, description, extra);
  return Type.Integer({ minimum: 0, ...more, unit: "bytes", default: parseSize(shown) });
}

function text(kind: KindName, env: string, value: string, description: string, extra: Extra = {}) {
  return Type.String({ ...facts(kind, env, value, description, extra), default: value });
}

function list(kind: KindName, env: string, value: readonly string[], description: string, extra: Extra = {}) {
  const more = facts(kind, env, value.join(",") || "none", description, extra);
  return Type.Unsafe<readonly string[]>(Type.Array(Type.String(), { ...more, default: value }));
}

/** A setting that may be left out; `unset` says what holds then. */
function maybe<T extends TSchema>(schema: T, unset: string) {
  const { kind, env, description, perApp } = schema as T & Facts;
  const own = perApp === true ? ONE_APP : {};
  return Type.Union([schema, Type.Null()], { kind, env, description, ...own, shown: null, unset, default: null });
}

/**
 * Every setting. Names of properties carry the unit; of limits 0 means none, unless the description says what else 0 is.
 */
const SCHEMA = Type.Object({
  port: count("PORT", 3000, "Port to listen on; 0 is any free one.", { maximum: 65_535 }),
  host: text("host", "SOCKET_HOST", "0.0.0.0", "Address to listen on."),
  tlsCert: maybe(
    text(
      "path",
      "SOCKET_TLS_CERT",
      "",
      "Certificate chain in PEM; with it HTTPS and HTTP/2 are served in place of HTTP.",
    ),
    "none",
  ),
  tlsKey: maybe(text("path", "SOCKET_TLS_KEY", "", "Private key of the certificate, in PEM."), "none"),
  publicUrl: maybe(
    text("url", "SOCKET_PUBLIC_URL", "", "Address that users see, with a path if there is one."),
    "from the request",
  ),
  appSecret: list("secrets", "APP_SECRET", [], "Secret of the app `default`; the first of several signs tokens.", {
    flag: false,
  }),
  secretFile: maybe(
    text("path", "SOCKET_SECRET_FILE", "", "File that holds the secret of the app `default`; made on first start."),
    "`secret` in the data folder",
  ),
  tokenSecrets: list("secrets", "SOCKET_TOKEN_SECRETS", [], "Secrets of tokens, in place of those that publish.", {
    ...ONE_APP,
    flag: false,
  }),
  tokenKeysFile: maybe(
    text("path", "SOCKET_TOKEN_KEYS_FILE", "", "JWK Set or PEM file of keys that verify tokens.", ONE_APP),
    "none",
  ),
  broker: text("broker", "SOCKET_BROKER", "sqlite:", "Where messages are kept; `sqlite:` alone is in the data folder."),
  dataFolder: text("path", "SOCKET_DATA", "data", "Folder for what is kept."),
  publicChannels: list("channels", "SOCKET_PUBLIC_CHANNELS", [], "Channels that anyone may listen to.", ONE_APP),
  corsOrigins: list("origins", "SOCKET_CORS_ORIGINS", ["*"], "Origins of pages that may open streams.", ONE_APP),
  cookieOrigins: list("sites", "SOCKET_COOKIE_ORIGINS", [], "Origins of pages that may listen by a cookie.", ONE_APP),
  trustedProxies: list("proxies", "SOCKET_TRUSTED_PROXIES", [], "Proxies whose `X-Forwarded-*` headers count."),

  workers: count("SOCKET_WORKERS", 1, "Processes that serve on the port; several take a Redis.", {
    minimum: 1,
    maximum: 256,
  }),

  maxDataBytes: size("SOCKET_MAX_DATA_BYTES", "64KiB", "Data of one message.", ONE_APP),
  maxBodyBytes: size("SOCKET_MAX_BODY_BYTES", "1MiB", "Body of one request."),
  maxJsonDepth: count("SOCKET_MAX_JSON_DEPTH", 32, "Depth of JSON in a request."),
  maxBatch: count("SOCKET_MAX_BATCH", 100, "Messages in one batch.", ONE_APP),
  maxChannelsPerStream: count("SOCKET_MAX_CHANNELS_PER_STREAM", 50, "Channels and patterns on one stream.", ONE_APP),

  historyCount: count("SOCKET_HISTORY_COUNT", 10_000, "History of a channel: messages.", ONE_APP),
  historyAgeMs: duration("SOCKET_HISTORY_AGE", "24h", "History of a channel: age.", ONE_APP),
  historyBytes: size("SOCKET_HISTORY_BYTES", "1MiB", "History of a channel: data.", ONE_APP),
  appHistoryBytes: size("SOCKET_APP_HISTORY_BYTES", "1GiB", "History of an app: data of all channels.", ONE_APP),
  maxChannels: count("SOCKET_MAX_CHANNELS", 100_000, "Channels of an app that hold history.", ONE_APP),
  replayLimit: count("SOCKET_REPLAY_LIMIT", 1000, "Messages that a first connect replays at most.", ONE_APP),

  tokenTtlMs: duration("SOCKET_TOKEN_TTL", "1h", "Life of a token from `subscribe` that names no other.", {
    minimum: 1000,
  }),
  maxTokenTtlMs: duration("SOCKET_MAX_TOKEN_TTL", "24h", "Longest life of any token."),
  idempotencyTtlMs: duration("SOCKET_IDEMPOTENCY_TTL", "24h", "How long idempotency keys are remembered."),

  heartbeatMs: duration("SOCKET_HEARTBEAT", "15s", "Between heartbeats on a quiet stream; 0 sends none.", TIMER),
  retryMs: duration("SOCKET_RETRY", "2s", "Wait before a reconnect, told to listeners; jittered up to twice.", {
    minimum: 100,
    ...TIMER,
  }),
  stallMs: duration("SOCKET_STALL", "10s", "How long a stream may take no data before it is cut.", TIMER),
  streamAgeMs: duration("SOCKET_STREAM_AGE", "1h", "Age at which a stream is asked to reconnect, ± 20 %.", TIMER),

  maxStreamsPerApp: count("SOCKET_MAX_STREAMS_PER_APP", 10_000, "Open streams of one app.", ONE_APP),
  maxStreamsPerIp: count("SOCKET_MAX_STREAMS_PER_IP", 0, "Open streams of an app from one IP address.", ONE_APP),
  maxStreams: maybe(count("SOCKET_MAX_STREAMS", 0, "Open streams on this node."), "80 % of the descriptor limit"),
  publishRate: count("SOCKET_PUBLISH_RATE", 0, "Messages that an app publishes in a second.", ONE_APP),
  publishRatePerIp: count("SOCKET_PUBLISH_RATE_PER_IP", 0, "The same from one IP address.", ONE_APP),
  openRate: count("SOCKET_OPEN_RATE", 0, "Streams of an app that are opened in a second.", ONE_APP),
  openRatePerIp: count("SOCKET_OPEN_RATE_PER_IP", 0, "The same from one IP address.", ONE_APP),
  drainMs: duration("SOCKET_DRAIN", "8s", "How long a stop ends streams and still answers; 0 stops at once.", TIMER),
  adminHost: text(
    "host",
    "SOCKET_ADMIN_HOST",
    "127.0.0.1",
    "Address of the listener for `/metrics`; not for the public.",
  ),
  adminPort: Type.Union([Type.Integer({ minimum: 0, maximum: 65_535 }), Type.Literal("off")], {
    ...facts("optionalPort", "SOCKET_ADMIN_PORT", "9464", "Port of the listener for `/metrics`.", {}),
    default: 9464,
  }),
  logLevel: text("level", "SOCKET_LOG_LEVEL", "info", "Least level that is logged."),
});

export type Values = Readonly<Static<typeof SCHEMA>>;
export type SettingKey = keyof Values;

/** One setting with all its names. */
export interface Setting {
  readonly key: SettingKey;
  readonly kind: KindName;
  readonly description: string;
  readonly env: string;
  /** `--history-count`; null for what takes no flag. */
  readonly flag: string | null;
  /** `history_count`. */
  readonly fileKey: string;
  readonly perApp: boolean;
  /** The default as its owner would write it, or in words what holds when it is not set. */
  readonly default: string;
  readonly schema: TSchema;
  /** Completes "takes …", with the bounds where there are some. */
  readonly takes: string;
}

/** All settings in the order of the schema. */
export const SETTINGS: readonly Setting[] = Object.entries(SCHEMA.properties).map(([key, schema]) => {
  const own = schema as TSchema & Facts;
  const fileKey = own.env.replace(/^SOCKET_/, "").toLowerCase();
  return {
    key: key as SettingKey,
    kind: own.kind,
    description: own.description,
    env: own.env,
    flag: own.flag === false ? null : `--${fileKey.replaceAll("_", "-")}`,
    fileKey,
    perApp: own.perApp === true,
    default: own.shown ?? own.unset ?? "",
    schema,
    takes: takes(own),
  };
});

function takes(schema: TSchema & Facts): string {
  const kind: { takes: string; show?: (value: number) => string } = KINDS[schema.kind];
  if (kind.show === undefined) return kind.takes;
  const { minimum = 0, maximum } = schema as { minimum?: number; maximum?: number };
  const most = maximum === undefined ? "" : `, at most ${kind.show(maximum)}`;
  const least = minimum > 0 ? `, at least ${kind.show(minimum)}` : "";
  const zero = minimum === 0 && schema.kind === "duration" ? ", or 0" : "";
  return `${kind.takes}${zero}${least}${most}`;
}
