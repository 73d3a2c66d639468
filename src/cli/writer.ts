import { parseJson } from "../core/json.ts";
import { print } from "./terminal.ts";

export interface WriterOptions {
  /** `data`: the data alone. `full`: time, channel, event, data. `json`: one object a line, of what the stream says too. */
  readonly form: "data" | "full" | "json";
  /** How many messages are written at most. */
  readonly count: number;
}

/** Writes messages, which come as envelopes, to standard output. */
export class Writer {
  readonly #options: WriterOptions;
  #left: number;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#left = options.count;
  }

  /** True once as many messages were written as were wanted. */
  get isDone(): boolean {
    return this.#left <= 0;
  }

  async message(envelope: string): Promise<void> {
    if (this.isDone) return;
    await print(`${this.#options.form === "json" ? envelope : lineOf(envelope, this.#options.form)}\n`);
    this.#left -= 1;
  }

  /** What the stream says beside messages; `data` is JSON. */
  async told(event: string, id: string | undefined, data: string): Promise<void> {
    if (this.#options.form !== "json" || this.isDone) return;
    const idMember = id === undefined ? "" : `"id":${JSON.stringify(id)},`;
    await print(`{"event":${JSON.stringify(event)},${idMember}"data":${data}}\n`);
  }
}

/** Throws JsonError for what is no JSON. */
function lineOf(envelope: string, form: "data" | "full"): string {
  const { value, members } = parseJson(envelope, 0);
  const { time, channel, event, data } = value as Readonly<Record<string, unknown>>;
  const span = members.find(({ key }) => key === "data");
  // What was given as JSON is shown in the text that was given, so that a large number keeps its digits.
  const text = typeof data === "string" || span === undefined ? String(data) : envelope.slice(span.start, span.end);
  return form === "data" ? text : [time, channel, event, text].map(String).join("  ");
}
