import { expect, test } from "bun:test";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import * as fc from "fast-check";
import {
  closeFrame,
  COMMENT_FRAME,
  envelope,
  frameOf,
  gapFrame,
  join,
  liveFrame,
  openFrame,
  positionFrame,
} from "../../src/core/frame.ts";
import type { Message } from "../../src/core/message.ts";

interface Heard {
  readonly events: { event: string | undefined; id: string | undefined; data: string }[];
  readonly ids: string[];
  readonly retries: number[];
  readonly comments: string[];
}

/** What an independent parser hears of the bytes when they come in two pieces. */
function hear(bytes: Uint8Array, split: number): Heard {
  const heard: Heard = { events: [], ids: [], retries: [], comments: [] };
  const parser = createParser({
    onEvent: ({ event, id, data }: EventSourceMessage) => heard.events.push({ event, id, data }),
    onId: (id) => heard.ids.push(id),
    onRetry: (ms) => heard.retries.push(ms),
    onComment: (comment) => heard.comments.push(comment),
    onError: (error) => {
      throw error;
    },
  });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  parser.feed(decoder.decode(bytes.subarray(0, split), { stream: true }));
  parser.feed(decoder.decode(bytes.subarray(split)));
  return heard;
}

function heardAtEverySplit(bytes: Uint8Array, expected: Partial<Heard>): void {
  const all: Heard = { events: [], ids: [], retries: [], comments: [], ...expected };
  for (let split = 0; split <= bytes.length; split++) expect(hear(bytes, split)).toEqual(all);
}

/** Text in which what a stream is made of is frequent. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom("\r", "\n", "\r\n", ":", " ", "data: ", "id: ", "event:", "\0", "\ufeff", "\u2028"),
      fc.string({ unit: "binary" }),
    ),
    {
      maxLength: 8,
    },
  )
  .map((parts) => parts.join("").toWellFormed());

/** What a publish takes for an event name. */
const EVENT = /^[^\p{Cc}\p{Cs}]+$/u;

const body = fc.oneof(
  fc.record({ data: text, json: fc.constant(false) }),
  fc.record({ data: fc.json(), json: fc.constant(true) }),
);

const message: fc.Arbitrary<Message> = fc
  .record({
    channel: fc.stringMatching(/^[\x21-\x29\x2b-\x7e]{1,20}$/),
    event: fc.option(fc.string({ unit: "binary", minLength: 1, maxLength: 20 }).filter((name) => EVENT.test(name))),
    body,
    epoch: fc.stringMatching(/^[0-9a-z]{1,10}$/),
    seq: fc.maxSafeNat(),
    time: fc.nat(),
  })
  .map(({ body: { data, json }, channel, event, epoch, seq, time }) => ({
    channel,
    event,
    data,
    json,
    epoch,
    seq,
    time,
  }));

const lines = (data: string): string => data.replaceAll(/\r\n|\r/g, "\n");

function told(event: string, data: object, id?: string): Partial<Heard> {
  return {
    events: [{ event: `socket:${event}`, id, data: JSON.stringify(data) }],
    ids: id === undefined ? [] : [id],
  };
}

test("a message is heard whole and alone, wherever its bytes are split", () => {
  fc.assert(
    fc.property(message, (one) => {
      const id = `${one.epoch}-${one.seq}`;
      const event = one.event ?? undefined;
      heardAtEverySplit(frameOf(one, "plain").bytes, { events: [{ event, id, data: lines(one.data) }], ids: [id] });
    }),
    { numRuns: 300 },
  );
});

test("an envelope is heard as the JSON of its message, wherever its bytes are split", () => {
  fc.assert(
    fc.property(message, (one) => {
      const id = `${one.epoch}-${one.seq}`;
      const data = lines(envelope(one));
      heardAtEverySplit(frameOf(one, "envelope").bytes, { events: [{ event: undefined, id, data }], ids: [id] });
      expect(JSON.parse(data)).toEqual({
        channel: one.channel,
        event: one.event ?? "message",
        data: one.json ? (JSON.parse(one.data) as unknown) : one.data,
        id,
        time: new Date(one.time).toISOString(),
      });
    }),
    { numRuns: 200 },
  );
});

test("messages in one buffer are heard one after another, wherever it is split", () => {
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), (messages) => {
      const frames = messages.map((one) => frameOf(one, "plain"));
      const events = messages.map((one) => ({
        event: one.event ?? undefined,
        id: `${one.epoch}-${one.seq}`,
        data: lines(one.data),
      }));
      heardAtEverySplit(join(frames), { events, ids: events.map(({ id }) => id) });
    }),
    { numRuns: 100 },
  );
});

test("what a stream says beside messages is heard whole, whatever a listener asked for", () => {
  const at = { epoch: "e1", seq: 7 };
  fc.assert(
    fc.property(text, fc.option(fc.constant(at)), fc.nat(), (asked, id, retryMs) => {
      const opening = {
        stream: "s",
        app: "default",
        channels: ["a", "room.*"],
        recovered: false,
        heartbeat_ms: 15_000,
        expires_at: null,
      };
      heardAtEverySplit(openFrame(id, retryMs, opening), {
        ...told("open", opening, id === null ? undefined : "e1-7"),
        retries: [retryMs],
      });
      const gap = { reason: "trimmed", asked, oldest: null, newest: at };
      heardAtEverySplit(gapFrame(at, gap), told("gap", { ...gap, newest: "e1-7" }, "e1-7"));
      heardAtEverySplit(liveFrame(retryMs), told("live", { replayed: retryMs }));
      const close = told("close", { reason: "limit", reconnect: true });
      heardAtEverySplit(closeFrame("limit", true), close);
      heardAtEverySplit(closeFrame("limit", true, retryMs), { ...close, retries: [retryMs] });
      heardAtEverySplit(positionFrame(at), { ids: ["e1-7"] }); // dispatches nothing
      heardAtEverySplit(COMMENT_FRAME, { comments: [""] });
    }),
    { numRuns: 50 },
  );
});
