import { textOf, type WatchOptions } from "./watch.ts";

/** How a stream was answered; it is not read. */
export interface Opened {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The beginning of what is no stream. */
  readonly text: string;
}

const MAX_TEXT = 2000;

/** Opens a stream and leaves it. Rejects where no connection can be made. */
export async function openStream(
  address: string,
  { fetch, headers, signal }: Omit<WatchOptions, "elapsed">,
): Promise<Opened> {
  const left = new AbortController();
  const response = await fetch(address, {
    headers: { Accept: "text/event-stream", ...headers },
    cache: "no-store",
    signal: AbortSignal.any([signal, left.signal]),
  });
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const text = isStream ? "" : await beginningOf(response);
  left.abort();
  return { status: response.status, headers: Object.fromEntries(response.headers), text };
}

async function beginningOf(response: Response): Promise<string> {
  let text = "";
  for await (const part of textOf(response)) {
    text = (text + part).slice(0, MAX_TEXT);
    if (text.length === MAX_TEXT) break;
  }
  return text;
}
