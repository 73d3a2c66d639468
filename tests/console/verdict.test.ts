import { expect, test } from "bun:test";
import type { Observation } from "../../src/console/timed.ts";
import { burstsOf, findingsOf, latenessMs } from "../../src/console/verdict.ts";

/** Twenty pieces, sent 150 ms apart, each of which took 5 ms by clocks that are a second apart. */
const QUICK = Array.from({ length: 20 }, (_, i) => ({ sentMs: 150 * i, arrivedMs: 150 * i + 1005 }));

const FINE: Observation = {
  forMs: 30_000,
  openedMs: 20,
  endedMs: 30_010,
  end: "whole",
  pieces: QUICK,
  headers: { "content-type": "text/event-stream", "access-control-allow-origin": "*" },
  protocol: "h2",
  origin: "https://events.example.com",
  secure: true,
  arrival: { heartbeat_ms: 15_000, accept_encoding: "gzip", forwarded_by: [], address_known: true },
  given: null,
};

function titles(of: Partial<Observation>, level: string): readonly string[] {
  return findingsOf({ ...FINE, ...of })
    .filter((finding) => finding.level === level)
    .map(({ title }) => title);
}

test("a stream with nothing in its way has no trouble", () => {
  expect(titles({}, "bad")).toEqual([]);
  expect(titles({}, "note")).toEqual([]);
  expect(titles({}, "good")).toEqual([
    "Not held back",
    "Stayed open for 30 s",
    "HTTP/2",
    "Not compressed",
    "CORS: Pages of every origin may open streams",
    "Streams get this address",
  ]);
});

test("pieces that are passed on once a second are told from a slow network, whatever the clocks show", () => {
  const held = QUICK.map(({ sentMs }) => ({ sentMs, arrivedMs: 1000 * Math.ceil(sentMs / 1000) + 77_000 }));
  expect(Math.round(latenessMs(held))).toBe(950);
  expect(burstsOf(held)).toBe(4);
  expect(titles({ pieces: held }, "bad")).toEqual(["Held back by up to 0.9 s"]);
  const far = QUICK.map(({ sentMs }, i) => ({ sentMs, arrivedMs: sentMs + 700 + (i % 3) * 40 }));
  expect(titles({ pieces: far }, "bad")).toEqual([]);
});

test("an answer that is kept to its end is told", () => {
  expect(titles({ pieces: [] }, "bad")).toEqual(["Held back: nothing arrived while the stream was open"]);
  const atOnce = QUICK.map(({ sentMs }) => ({ sentMs, arrivedMs: 30_000 }));
  expect(titles({ pieces: atOnce, openedMs: 30_000 }, "bad")).toEqual(["Held back by up to 30 s"]);
});

test("a stream that broke off is told from one that the gateway ended", () => {
  expect(titles({ end: "cut", endedMs: 10_040 }, "bad")).toEqual(["Cut after 10 s"]);
  expect(titles({ end: "drain", endedMs: 4000 }, "bad")).toEqual([]);
  expect(titles({ end: "drain", endedMs: 4000 }, "note")).toEqual(["The gateway ended it after 4.0 s: drain"]);
});

test.each([
  ["HTTP/1.1", { protocol: "http/1.1" }, "note", "HTTP/1.1"],
  ["compression", { headers: { ...FINE.headers, "content-encoding": "gzip" } }, "bad", "Compressed: gzip"],
  [
    "CORS that is answered twice",
    { headers: { ...FINE.headers, "access-control-allow-origin": "*, *" } },
    "bad",
    "CORS is answered twice: *, *",
  ],
  [
    "another content type",
    { headers: { ...FINE.headers, "content-type": "text/plain" } },
    "bad",
    "Content-Type is text/plain",
  ],
  ["no TLS", { secure: false }, "bad", "No TLS"],
  [
    "an address that is not the page's",
    { arrival: null, given: "http://10.0.0.7:3000" },
    "note",
    "Streams get http://10.0.0.7:3000",
  ],
  ["a proxy that names itself", { headers: { ...FINE.headers, via: "1.1 edge" } }, "note", "There is a proxy between"],
] as const)("%s is told", (_words, of, level, title) => {
  expect(titles(of as Partial<Observation>, level)).toEqual([title]);
});
