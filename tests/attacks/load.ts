import { connect, type Socket } from "node:net";
import { type Gateway, startGateway } from "../setup/gateway.ts";

/** What a gateway's process took since the last look: see `tests/setup/longest-turn.ts`. */
export interface Look {
  readonly longestTurnMs: number;
  readonly rssMiB: number;
}

/** A gateway that tells how long its turns take. */
export function startMeasured(settings: Readonly<Record<string, string>>): Promise<Gateway> {
  return startGateway({ settings, preload: "./tests/setup/longest-turn.ts" });
}

export async function look(gateway: Gateway): Promise<Look> {
  const before = gateway.output.length;
  process.kill(gateway.pid, "SIGUSR2");
  for (;;) {
    const line = /^\{"longestTurnMs".*\}$/m.exec(gateway.output.slice(before))?.[0];
    if (line !== undefined) return JSON.parse(line) as Look;
    await fetch(`${gateway.url}/healthz`);
  }
}

/** Publishes `messages` in batches of 100. */
export async function publishMany(gateway: Gateway, messages: readonly object[]): Promise<void> {
  for (let at = 0; at < messages.length; at += 100) {
    const response = await fetch(`${gateway.url}/chat/send-multi`, {
      method: "POST",
      headers: { Authorization: `key=${gateway.secret}`, "Content-Type": "application/json" },
      body: JSON.stringify(messages.slice(at, at + 100)),
    });
    if (!response.ok) throw new Error(await response.text());
  }
}

/** Opens streams that take what the kernel takes, and read nothing. */
export function openUnread(gateway: Gateway, paths: readonly string[]): Socket[] {
  return paths.map((path) => {
    const connection = connect(gateway.port, "127.0.0.1").on("error", () => undefined);
    connection.pause();
    connection.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: key=${gateway.secret}\r\n\r\n`);
    return connection;
  });
}
