import { CommandError, EXIT } from "./exit.ts";

/** Far more than a message may hold; a file without line ends must not fill the memory. */
const MAX_LINE = 64 * 1024 * 1024;

/**
 * The lines of UTF-8 text, as many at a time as have come, each without its line end (LF or CRLF). The last one needs
 * none. Rejects with CommandError `data` for what is not UTF-8, since it could only be sent as something else, and for a
 * line of more than 64 Mi characters.
 */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest: string[] = [];
  let restLength = 0;
  let count = 0;
  const decode = (bytes?: Uint8Array): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch {
      throw new CommandError(EXIT.data, `standard input is not UTF-8, after line ${count}`);
    }
  };
  for await (const bytes of input) {
    const text = decode(bytes);
    const end = text.lastIndexOf("\n");
    if (end === -1) {
      rest.push(text);
      restLength += text.length;
      if (restLength > MAX_LINE) throw new CommandError(EXIT.data, `line ${count + 1} of standard input is too long`);
      continue;
    }
    const lines = [...rest, text.slice(0, end)].join("").split("\n").map(withoutReturn);
    rest = [text.slice(end + 1)];
    restLength = rest[0]!.length;
    count += lines.length;
    yield lines;
  }
  const last = rest.join("") + decode();
  if (last !== "") yield [withoutReturn(last)];
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
