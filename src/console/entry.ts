/** A message as the stream brought it. */
export interface MessageEntry {
  readonly kind: "message";
  /** Empty in the plain format, which does not say. */
  readonly channel: string;
  readonly event: string;
  /** As it was published: text, or JSON with its digits as they were given. */
  readonly data: string;
  readonly id: string;
  /** When the gateway took it, or, in the plain format, when it came; ms since 1970. */
  readonly timeMs: number;
}

/** What the stream, the browser or the page says beside messages, in plain words. */
export interface NoticeEntry {
  readonly kind: "open" | "live" | "gap" | "token" | "close" | "reconnect" | "refused";
  readonly words: string;
  /** What was said, as it was said; empty for what is the page's own. */
  readonly data: string;
  readonly id: string;
  readonly timeMs: number;
}

export type Entry = MessageEntry | NoticeEntry;

/** A message out of the envelope that it came in. */
export function messageOf(envelope: string): MessageEntry {
  const { channel, event, data, id, time } = JSON.parse(envelope) as {
    channel: string;
    event: string;
    data: unknown;
    id: string;
    time: string;
  };
  // Cut out rather than written again: a 64-bit number keeps its digits. In a name before it `"` is written `\"`, and
  // behind it come only an id and a time.
  const given = envelope.slice(envelope.indexOf(',"data":') + 8, envelope.lastIndexOf(',"id":'));
  const text = typeof data === "string" ? data : given;
  return { kind: "message", channel, event, data: text, id, timeMs: Date.parse(time) };
}

interface Told {
  readonly reason?: string;
  readonly reconnect?: boolean;
  readonly recovered?: boolean | null;
  readonly asked?: string;
  readonly oldest?: string | null;
  readonly channels?: readonly string[];
  readonly replayed?: number;
  readonly expires_at?: string;
}

/** What a `socket:` event means. */
export function noticeOf(kind: "open" | "live" | "gap" | "token" | "close", data: string, id: string): NoticeEntry {
  return { kind, words: WORDS[kind](JSON.parse(data) as Told), data, id, timeMs: Date.now() };
}

const WORDS = {
  open: ({ recovered, channels = [] }) => {
    const names = channels.join(", ");
    if (recovered === null) return `Open: everything on ${names} from here on.`;
    return recovered === true
      ? `Resumed on ${names}: nothing is missing.`
      : `Resumed on ${names}, but not everything is there: the gap says what.`;
  },
  live: ({ replayed = 0 }) => {
    if (replayed === 0) return "Live: level with what is published.";
    return `Live: ${replayed === 1 ? "1 message was" : `${replayed} messages were`} replayed.`;
  },
  gap: ({ reason = "", asked = "", oldest }) => {
    const kept =
      oldest === null || oldest === undefined ? "Nothing older is kept." : `Kept is what follows, from ${oldest} on.`;
    return `${GAPS[reason] ?? `Messages may be missing (${reason}).`} Asked for was what follows ${asked || "nothing"}. ${kept}`;
  },
  token: ({ expires_at = "" }) => `The token expires at ${clockTime(Date.parse(expires_at))}.`,
  close: ({ reason = "", reconnect }) =>
    `${CLOSES[reason] ?? `Ended by the gateway (${reason}).`} ${reconnect === true ? "The browser comes back." : "This address is not taken again."}`,
} satisfies Record<string, (told: Told) => string>;

const GAPS: Readonly<Record<string, string>> = {
  trimmed: "Messages are missing: retention has dropped them.",
  unproven: "Messages may be missing: idle channels were forgotten, perhaps one of these.",
  epoch: "Messages may be missing: the store was lost, or came back older.",
  unknown_position: "Messages may be missing: this position was never given out.",
};

const CLOSES: Readonly<Record<string, string>> = {
  expired: "Ended: the token expired.",
  revoked: "Ended: the backend revoked the token, the user or the stream.",
  max_age: "Ended: the stream was as old as streams get.",
  drain: "Ended: the gateway is being stopped.",
  limit: "Not opened: a limit is reached.",
  unavailable: "Not opened: the store is away.",
};

/** Local, with milliseconds where asked for. */
export function clockTime(ms: number, digits: 0 | 3 = 0): string {
  const time = new Date(ms);
  const parts = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, "0"));
  return digits === 0 ? parts.join(":") : `${parts.join(":")}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}
