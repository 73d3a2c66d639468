import { expect, test } from "bun:test";
import { messageOf, noticeOf } from "../../src/console/entry.ts";

test("a message keeps the text of its data, whatever stands in the names before it", () => {
  for (const channel of ["news", 'a","data":1,"id":"x']) {
    const data = '{"n":12345678901234567890,"of":[1.0,1e400]}';
    const event = JSON.stringify('b","data":2');
    const envelope = `{"channel":${JSON.stringify(channel)},"event":${event},"data":${data},"id":"e-7","time":"2030-01-31T12:00:00.000Z"}`;
    const time = Date.parse("2030-01-31T12:00:00.000Z");
    expect(messageOf(envelope)).toEqual({
      kind: "message",
      channel,
      event: 'b","data":2',
      data,
      id: "e-7",
      timeMs: time,
    });
  }
  const text = `{"channel":"news","event":"message","data":"two\\nlines \\",\\"id\\":","id":"e-8","time":"2030-01-31T12:00:00.000Z"}`;
  expect(messageOf(text).data).toBe('two\nlines ","id":');
});

test.each([
  ["open", '{"channels":["news"],"recovered":null}', "Open: everything on news from here on."],
  ["open", '{"channels":["news"],"recovered":true}', "nothing is missing"],
  ["live", '{"replayed":1}', "1 message was replayed"],
  ["gap", '{"reason":"trimmed","asked":"e-1","oldest":"e-4"}', "retention has dropped them"],
  [
    "gap",
    '{"reason":"of a later version","asked":"e-1","oldest":null}',
    "Messages may be missing (of a later version).",
  ],
  ["close", '{"reason":"expired","reconnect":false}', "This address is not taken again."],
  ["close", '{"reason":"drain","reconnect":true}', "The browser comes back."],
] as const)("socket:%s %s is said in plain words", (kind, data, words) => {
  expect(noticeOf(kind, data, "").words).toContain(words);
});
