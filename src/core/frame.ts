import type { Message } from "./message.ts";
import { formatPosition, type Position } from "./position.ts";

/**
 * A message's bytes on a stream (WHATWG HTML, 9.2.6 "Interpreting an event stream"), and those of what a stream says
 * beside messages.
 *
 * Lines end with LF. The reader takes CRLF, CR and LF for line ends, so data is split on all three, one `data:` line
 * each, and arrives joined with LF. One space follows the colon, because the reader drops one.
 */

/** How messages look on a stream: under their own event name, or all alike as a JSON envelope with the channel. */
export type Format = "plain" | "envelope";

/** The closed set of reasons for which a stream ends; the same words in the stream, the log and the metrics. */
export type CloseReason =
  "client" | "slow" | "expired" | "revoked" | "drain" | "max_age" | "limit" | "unavailable" | "error";

const encoder = new TextEncoder();
const LINE_END = /\r\n|\r|\n/;
const HAS_LINE_END = /[\r\n]/;

function dataLines(text: string): string {
  if (!HAS_LINE_END.test(text)) return `data: ${text}\n`;
  return text
    .split(LINE_END)
    .map((line) => `data: ${line}\n`)
    .join("");
}

/** A message as one JSON object; `data` is the value that was published. Used by envelopes and by history. */
export function envelope(message: Message): string {
  const data = message.json ? message.data : JSON.stringify(message.data);
  const event = JSON.stringify(message.event ?? "message");
  const channel = JSON.stringify(message.channel);
  const time = new Date(message.time).toISOString();
  return `{"channel":${channel},"event":${event},"data":${data},"id":"${formatPosition(message)}","time":"${time}"}`;
}

/** A message's bytes in one format, with its place. */
export interface Frame {
  readonly epoch: string;
  readonly seq: number;
  readonly bytes: Uint8Array;
}

export function frameOf(message: Message, format: Format): Frame {
  const { epoch, seq } = message;
  const id = `id: ${epoch}-${seq}\n`;
  const event = format === "envelope" || message.event === null ? "" : `event: ${message.event}\n`;
  const data = dataLines(format === "envelope" ? envelope(message) : message.data);
  return { epoch, seq, bytes: encoder.encode(`${id}${event}${data}\n`) };
}

/** The frames of a message while it is delivered: in each format one, made at first need and shared by all feeds. */
export class Frames {
  readonly #message: Message;
  #plain: Frame | null = null;
  #envelope: Frame | null = null;

  constructor(message: Message) {
    this.#message = message;
  }

  in(format: Format): Frame {
    if (format === "plain") return (this.#plain ??= frameOf(this.#message, "plain"));
    return (this.#envelope ??= frameOf(this.#message, "envelope"));
  }
}

/** The frames one after another in one buffer; a single frame is given as it is, without a copy. */
export function join(frames: readonly Frame[]): Uint8Array {
  if (frames.length === 1) return frames[0]!.bytes;
  let length = 0;
  for (const { bytes } of frames) length += bytes.length;
  const buffer = new Uint8Array(length);
  let offset = 0;
  for (const { bytes } of frames) {
    buffer.set(bytes, offset);
    offset += bytes.length;
  }
  return buffer;
}

function control(event: string, id: Position | null, data: object, first = ""): Uint8Array<ArrayBuffer> {
  const idLine = id === null ? "" : `id: ${formatPosition(id)}\n`;
  return encoder.encode(`${first}${idLine}event: socket:${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

export interface Opening {
  readonly stream: string;
  readonly app: string;
  readonly channels: readonly string[];
  /** Whether a position that was asked for could be continued without a gap; null when none was asked for. */
  readonly recovered: boolean | null;
  readonly heartbeat_ms: number;
  /** RFC 3339; null for a grant that does not expire. */
  readonly expires_at: string | null;
}

/**
 * `id` is the position from which the stream is complete; null when a gap follows, which carries it instead. `retryMs`
 * is the reconnection time that the reader is given (9.2.6, field `retry`).
 */
export function openFrame(id: Position | null, retryMs: number, opening: Opening): Uint8Array {
  return control("open", id, opening, retryLine(retryMs));
}

export interface ToldGap {
  /** The position that was asked for, as it was given. */
  readonly asked: string;
  readonly oldest: Position | null;
  readonly newest: Position;
  readonly reason: string;
}

/** `id` is the position from which the stream goes on. */
export function gapFrame(id: Position, gap: ToldGap): Uint8Array {
  return control("gap", id, {
    reason: gap.reason,
    asked: gap.asked,
    oldest: gap.oldest === null ? null : formatPosition(gap.oldest),
    newest: formatPosition(gap.newest),
  });
}

/** Told once, when the stream is level with what is published: how many messages were replayed until then. */
export function liveFrame(replayed: number): Uint8Array {
  return control("live", null, { replayed });
}

/** Told ahead of the end of a stream's grant, so that it can be renewed; `expiresAt` is RFC 3339. */
export function expiryFrame(stream: string, expiresAt: string): Uint8Array {
  return control("token", null, { stream, expires_at: expiresAt });
}

/** What a probe is told at first: how the request arrived, as far as whoever sent it may know. */
export interface ProbeOpening {
  /** How long the probe lasts. */
  readonly for_ms: number;
  /** 0 when there are none. */
  readonly heartbeat_ms: number;
  /** `Accept-Encoding` as it arrived; null when there was none. */
  readonly accept_encoding: string | null;
  /** Headers by which proxies name themselves or whom they serve that were there, in lower case; not what they say. */
  readonly forwarded_by: readonly string[];
  /** Whether streams' addresses would be made on the address that was asked about; null when none was. */
  readonly address_known: boolean | null;
}

/** A tick of a probe, sent so long after the probe's beginning. The first carries the opening. */
export function probeFrame(sentMs: number, opening?: ProbeOpening): Uint8Array {
  return control("probe", null, { sent_ms: Math.round(sentMs), ...opening });
}

/** `reconnect`: whether the same address will be taken again, and `retryMs`, where it is given, after which time. */
export function closeFrame(reason: CloseReason, reconnect: boolean, retryMs?: number): Uint8Array<ArrayBuffer> {
  return control("close", null, { reason, reconnect }, retryMs === undefined ? "" : retryLine(retryMs));
}

function retryLine(retryMs: number): string {
  return `retry: ${Math.round(retryMs)}\n`;
}

/** A block without data dispatches nothing but moves the reader's last event id (9.2.6, "dispatch the event", step 2). */
export function positionFrame(id: Position): Uint8Array {
  return encoder.encode(`id: ${formatPosition(id)}\n\n`);
}

/** A bare comment: keeps proxies awake and says nothing. */
export const COMMENT_FRAME = encoder.encode(":\n\n");
