/** What `POST /chat/send-multi` takes by default, in messages; and half of what it takes in bytes. */
const MAX_MESSAGES = 100;
const MAX_BYTES = 512 * 1024;

/** Messages that are sent together: the JSON text of each. */
export interface Batch {
  readonly messages: readonly string[];
  /** Number of the line that the first one was, counted from 1. */
  readonly firstLine: number;
  /** Of the lines, as they were read. */
  readonly bytes: number;
}

/**
 * Joins lines to batches. By default a batch has what has come, so that a line that comes alone is sent at once. With
 * `isWhole` every batch but the last one is full, so that the same lines make the same batches, however they come.
 */
export async function* batchesOf(
  chunks: AsyncIterable<readonly string[]>,
  messageOf: (line: string) => string,
  isWhole: boolean,
): AsyncGenerator<Batch> {
  let messages: string[] = [];
  let firstLine = 1;
  let [bytes, jsonBytes] = [0, 0];
  const take = (): Batch => {
    const batch = { messages, firstLine, bytes };
    firstLine += messages.length;
    [messages, bytes, jsonBytes] = [[], 0, 0];
    return batch;
  };
  for await (const lines of chunks) {
    for (const line of lines) {
      const message = messageOf(line);
      const length = Buffer.byteLength(message);
      if (messages.length === MAX_MESSAGES || (messages.length > 0 && jsonBytes + length > MAX_BYTES)) yield take();
      messages.push(message);
      bytes += Buffer.byteLength(line) + 1;
      jsonBytes += length;
    }
    if (!isWhole && messages.length > 0) yield take();
  }
  if (messages.length > 0) yield take();
}

/** The two halves of a batch of at least two messages. */
export function halves({ messages, firstLine, bytes }: Batch): readonly [Batch, Batch] {
  const middle = Math.ceil(messages.length / 2);
  return [
    { messages: messages.slice(0, middle), firstLine, bytes: 0 },
    { messages: messages.slice(middle), firstLine: firstLine + middle, bytes },
  ];
}
