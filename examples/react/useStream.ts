import { useEffect, useRef, useState } from "react";

export interface Message {
  readonly id: string;
  readonly data: string;
}

export interface Stream {
  /** The newest of what was heard, oldest first. */
  readonly messages: readonly Message[];
  /** False until the stream is level with what is published, and while there is none. */
  readonly live: boolean;
  /** Messages are gone that this listener did not get: load afresh what the page shows. */
  readonly incomplete: boolean;
}

const NOTHING: Stream = { messages: [], live: false, incomplete: false };
const MOST = 200;

/**
 * Listens to a channel while the component is mounted. A component whose channel changes takes `key={channel}`, so that
 * it begins anew. The effect may run any number of times, as in StrictMode, which runs it twice: each run ends what it
 * began, and goes on where the one before ended, so that a message comes once and none is missed.
 */
export function useStream(channel: string): Stream {
  const [stream, setStream] = useState(NOTHING);
  const lastId = useRef(""); // how far this component is: the id of the last event that it saw

  useEffect(() => {
    const ended = new AbortController();
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let failures = 0;
    const change = (part: Partial<Stream>) => setStream((now) => ({ ...now, ...part }));

    // The address holds a token that ends. Only our own backend can get one: it knows the secret, and this user.
    async function listen(): Promise<void> {
      try {
        const body = new URLSearchParams({ channel });
        const response = await fetch("/address", { method: "POST", body, signal: ended.signal });
        if (!response.ok) throw new Error(`/address answered ${response.status}`);
        const { url } = (await response.json()) as { url: string };
        if (!ended.signal.aborted) follow(new URL(url));
      } catch {
        listenLater();
      }
    }

    // At random within a span that doubles up to half a minute, so that not all pages come back at once.
    function listenLater(): void {
      change({ live: false });
      source?.close(); // so that there are never two
      if (ended.signal.aborted) return;
      timer = setTimeout(() => void listen(), Math.random() * Math.min(30_000, 500 * 2 ** failures++));
    }

    function follow(url: URL): void {
      if (lastId.current !== "") url.searchParams.set("last_event_id", lastId.current);
      const opened = new EventSource(url);
      source = opened;
      const on = (event: string, action: (message: MessageEvent<string>) => void) =>
        opened.addEventListener(event, (message: MessageEvent<string>) => {
          lastId.current = message.lastEventId || lastId.current; // an event may have none
          action(message);
        });

      on("message", ({ data, lastEventId: id }) =>
        setStream((now) => ({ ...now, messages: [...now.messages, { id, data }].slice(-MOST) })),
      );
      on("socket:open", () => (failures = 0));
      on("socket:live", () => change({ live: true }));
      on("socket:gap", () => change({ incomplete: true }));
      on("socket:close", ({ data }) => {
        if (!(JSON.parse(data) as { reconnect: boolean }).reconnect) listenLater();
      });
      opened.addEventListener("error", () => {
        change({ live: false });
        if (opened.readyState === EventSource.CLOSED) listenLater(); // a proxy gave an answer that was no stream
      });
    }

    void listen();
    return () => {
      ended.abort();
      clearTimeout(timer);
      source?.close();
    };
  }, [channel]);

  return stream;
}
