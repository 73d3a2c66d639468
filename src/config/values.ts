import { isIP } from "node:net";
import { isChannel, isPattern } from "../core/channel.ts";
import { DURATION_MS, parseDuration } from "../core/duration.ts";

/** How one kind of setting is read from text, and how it is told to people. */
export interface Kind {
  /** Completes "takes …". */
  readonly takes: string;
  /** Undefined for text that is not of this kind. */
  readonly parse: (text: string) => string | number | undefined;
  /** Several values, parted by commas (in a file: an array). */
  readonly list?: true;
  /** Writes a parsed value as its owner would. */
  readonly show?: (value: number) => string;
}

const SIZE_BYTES = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `64KiB 1MiB 1GiB`, or a number of bytes. */
export function parseSize(text: string): number | undefined {
  const match = /^([0-9]{1,15})(KiB|MiB|GiB)?$/.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (match[2] === undefined ? 1 : SIZE_BYTES[match[2] as keyof typeof SIZE_BYTES]);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** In the largest unit that divides it: 5400000 is `90m`. */
export function showDuration(ms: number): string {
  return showIn(ms, DURATION_MS, "ms");
}

/** In the largest unit that divides it: 1048576 is `1MiB`. */
function showSize(bytes: number): string {
  return showIn(bytes, SIZE_BYTES, "");
}

function showIn(value: number, units: Readonly<Record<string, number>>, smallest: string): string {
  if (value === 0) return "0";
  let shown = `${value}${smallest}`;
  for (const [unit, size] of Object.entries(units)) if (value % size === 0) shown = `${value / size}${unit}`;
  return shown;
}

/** The address that users see: http or https, with a path where there is one, without a slash at its end. */
function parsePublicUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || /[?#]/.test(text)) return undefined;
  if (url.username !== "" || url.password !== "") return undefined;
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** An origin as a browser writes it in its `Origin` header (RFC 6454 6.2), or `*`. */
function parseOrigin(text: string): string | undefined {
  if (text === "*") return text;
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\/[^/?#@]+$/i.test(text)) return undefined;
  return url.origin;
}

/** An IP address, or a network such as `10.0.0.0/8`. */
function parseProxy(text: string): string | undefined {
  const match = /^([0-9a-fA-F.:]+)(?:\/([0-9]{1,3}))?$/.exec(text);
  const family = isIP(match?.[1] ?? "");
  if (match === null || family === 0) return undefined;
  return match[2] === undefined || Number(match[2]) <= (family === 4 ? 32 : 128) ? text : undefined;
}

const PLAIN_TEXT = /^[^\p{Cc}]{1,4096}$/u;

/** Whether a broker is one that several nodes share. */
export function isSharedBroker(address: string): boolean {
  return /^rediss?(\+[a-z]+)?:\/\//.test(address);
}

/** Every kind of setting. */
export const KINDS = {
  count: {
    takes: "a whole number",
    parse: (text: string) => (/^[0-9]{1,15}$/.test(text) ? Number(text) : undefined),
    show: String,
  },
  /** 0 is any free one. */
  optionalPort: {
    takes: "a port, or off",
    parse: (text: string) => (/^(off|[0-9]{1,5})$/.test(text) ? (text === "off" ? text : Number(text)) : undefined),
    show: String,
  },
  duration: { takes: "a duration such as 500ms, 15s, 10m, 1h or 2d", parse: parseDuration, show: showDuration },
  size: { takes: "a size such as 64KiB, 1MiB or 1GiB, or a number of bytes", parse: parseSize, show: showSize },
  host: {
    takes: "a host name or an IP address",
    parse: (text: string) => (/^[0-9A-Za-z.:_%-]{1,253}$/.test(text) ? text : undefined),
  },
  url: {
    takes: "an address such as https://example.com/events, without a query",
    parse: parsePublicUrl,
  },
  path: { takes: "a path", parse: (text: string) => (PLAIN_TEXT.test(text) ? text : undefined) },
  broker: {
    takes: "memory:, sqlite: (sqlite:PATH, sqlite:PATH?synchronous=full) or redis://HOST:PORT",
    parse: (text: string) =>
      PLAIN_TEXT.test(text) && (/^(memory:$|sqlite:)/.test(text) || isSharedBroker(text)) ? text : undefined,
  },
  level: {
    takes: "one of debug, info, warn, error, silent",
    parse: (text: string) => (/^(debug|info|warn|error|silent)$/.test(text) ? text : undefined),
  },
  /** Checked where apps are made, which says what it takes without showing it. */
  secrets: { takes: "one or more secrets parted by commas", parse: (text: string) => text, list: true },
  channels: {
    takes: "channel names or patterns (news, room.*, room.**) parted by commas",
    parse: (text: string) => (isChannel(text) || isPattern(text) ? text : undefined),
    list: true,
  },
  origins: { takes: "* or origins such as https://example.com, parted by commas", parse: parseOrigin, list: true },
  sites: {
    takes: "origins such as https://example.com, parted by commas, and no *",
    parse: (text: string) => (text === "*" ? undefined : parseOrigin(text)),
    list: true,
  },
  proxies: {
    takes: "IP addresses or networks such as 10.0.0.0/8, parted by commas",
    parse: parseProxy,
    list: true,
  },
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof KINDS;
