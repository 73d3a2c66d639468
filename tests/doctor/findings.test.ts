import { describe, expect, test } from "bun:test";
import { corsOf } from "../../src/doctor/cors.ts";
import type { Finding } from "../../src/doctor/finding.ts";
import { bufferedMs, findingsOf, type Observation } from "../../src/doctor/findings.ts";
import type { Seen, Tick } from "../../src/doctor/watch.ts";

const URL = "https://events.example";
const FOR_MS = 20_000;

/** Ticks every tenth of a second for three, then one at 15 s, each this late. */
function ticks(lateMs: (sentMs: number) => number): Tick[] {
  const sent = [...Array.from({ length: 30 }, (_, i) => i * 100), 15_000];
  return sent.map((sentMs) => ({ sentMs, arrivedMs: sentMs + lateMs(sentMs) }));
}

function observation(seen: Partial<Seen> = {}, more: Partial<Observation> = {}): Observation {
  return {
    url: URL,
    forMs: FOR_MS,
    roundTripMs: 40,
    httpVersion: "2",
    origin: null,
    stream: null,
    seen: {
      status: 200,
      headers: { "content-type": "text/event-stream" },
      opening: { for_ms: FOR_MS, heartbeat_ms: 15_000, accept_encoding: null, forwarded_by: [], address_known: true },
      ticks: ticks(() => 50),
      closeReason: "max_age",
      end: "closed",
      endedMs: FOR_MS + 50,
      stalledMs: 0,
      text: "",
      ...seen,
    },
    ...more,
  };
}

function found(about: Finding["about"], of: Observation): Finding {
  const one = findingsOf(of).find((finding) => finding.about === about);
  if (one === undefined) throw new Error(`Nothing is found about ${about}.`);
  return one;
}

function silent(seen: Partial<Seen>): Observation {
  return observation({ ticks: [], opening: null, closeReason: null, ...seen });
}

describe("what a probe shows", () => {
  test("is nothing wrong when events come when they are sent", () => {
    expect(findingsOf(observation()).map(({ level }) => level)).toEqual(Array(5).fill("ok"));
  });

  test("buffering is told from a long way: what is as late as any answer is not buffered", () => {
    const far = observation({ ticks: ticks(() => 800) }, { roundTripMs: 800 });
    expect(bufferedMs(far)).toBe(0);
    const held = observation({ ticks: ticks(() => 2000) }, { roundTripMs: 40 });
    expect(bufferedMs(held)).toBe(1960);
    expect(found("buffering", held)).toMatchObject({
      level: "problem",
      says: "buffered: events came up to 2.0 s late",
    });
    const batched = observation({ ticks: ticks((sentMs) => 500 - (sentMs % 500)) });
    expect(found("buffering", batched)).toMatchObject({ level: "note", says: "events came up to 0.46 s late" });
  });

  test("what is late because the watcher stood still is not buffered", () => {
    const late = ticks((sentMs) => (sentMs === 1000 ? 1500 : 50));
    expect(found("buffering", observation({ ticks: late }))).toMatchObject({ level: "problem" });
    expect(found("buffering", observation({ ticks: late, stalledMs: 1450 }))).toMatchObject({ level: "ok" });
  });

  test("a stream that is cut while events are sent was too long for something, one that is cut in a silence too quiet", () => {
    const busy = ticks(() => 50).filter(({ sentMs }) => sentMs < 2500);
    const long = observation({ ticks: busy, end: "broke", closeReason: null, endedMs: 2500 });
    expect(found("cut", long)).toMatchObject({
      level: "problem",
      says: "cut after 2.5 s, while events were being sent",
    });
    expect(found("cut", long).fix).toContain("SOCKET_STREAM_AGE=2s");
    const quiet = observation({ end: "ended", closeReason: null, endedMs: 18_050 });
    expect(found("cut", quiet).says).toBe("cut after 18 s, when nothing had been sent for 3.0 s");
  });

  test("a look that is too short to see a heartbeat says so", () => {
    const short = observation({ ticks: ticks(() => 0).slice(0, 30) }, { forMs: 4000 });
    expect(found("cut", short)).toMatchObject({ level: "ok" });
    expect(found("cut", short).says).toContain("look for longer than that");
    expect(found("cut", observation()).says).toBe("not cut within 20 s");
  });

  test("nothing at all within the time is held back, whether headers came or not", () => {
    for (const status of [null, 200]) {
      expect(found("buffering", silent({ status, end: "silent", endedMs: 30_000 }))).toMatchObject({
        level: "problem",
      });
    }
  });

  test("a gateway that ends the probe early was not looked at to the end", () => {
    const drained = observation({ closeReason: "drain", endedMs: 4000 });
    expect(found("cut", drained)).toMatchObject({ level: "unknown" });
  });

  test("an answer that is no stream is told with what the gateway says of it", () => {
    const text =
      '{"code":400,"data":{},"message":"","Error":{"type":"channel_invalid","detail":"`channel` takes a name.","request_id":"x"}}';
    const older = silent({ status: 400, headers: { "content-type": "application/json" }, text, end: "ended" });
    expect(found("reach", older)).toMatchObject({
      level: "unknown",
      says: "no stream is answered but 400: `channel` takes a name.",
    });
  });

  test("a 503 of the gateway itself is no missing gateway", () => {
    const text = '{"Error":{"type":"unavailable","detail":"This node is being stopped.","request_id":"x"}}';
    const stopping = silent({ status: 503, headers: {}, text, end: "ended" });
    expect(findingsOf(stopping)[0]).toMatchObject({ about: "reach", level: "unknown" });
    expect(findingsOf(silent({ status: 503, headers: {}, text: "<html>", end: "ended" }))[0]).toMatchObject({
      about: "missing_gateway",
      level: "problem",
    });
  });
});

describe("CORS", () => {
  const origin = "https://app.example";

  test.each([
    [{}, "problem"],
    [{ "access-control-allow-origin": "*" }, "ok"],
    [{ "access-control-allow-origin": "*, *" }, "problem"],
    [{ "access-control-allow-origin": `${origin}, ${origin}` }, "problem"],
    [{ "access-control-allow-origin": "https://other.example" }, "problem"],
    [{ "access-control-allow-origin": origin }, "ok"],
    [{ "access-control-allow-origin": origin, "access-control-allow-credentials": "true" }, "ok"],
    [{ "access-control-allow-origin": "null" }, "problem"],
  ] as const)("%j is a %s", (headers, level) => {
    expect(corsOf(headers, origin, URL).level).toBe(level);
  });

  test("is not needed by a page of the stream's own origin", () => {
    expect(corsOf({}, URL, `${URL}/stream`).level).toBe("ok");
  });
});
