import { expect, test } from "bun:test";
import { join } from "node:path";
import { freePort } from "./setup/gateway.ts";

/** The command in a terminal of its own, with what it shows there. */
function startInTerminal(env: Record<string, string>) {
  let shown = "";
  let changed = Promise.withResolvers<void>();
  const child = Bun.spawn([process.execPath, "src/main.ts"], {
    cwd: join(import.meta.dir, ".."),
    env: { PATH: process.env["PATH"] ?? "", HOST: "127.0.0.1", SOCKET_BROKER: "memory:", ...env },
    terminal: {
      data(_terminal, bytes) {
        shown += new TextDecoder().decode(bytes);
        changed.resolve();
        changed = Promise.withResolvers();
      },
    },
  });
  async function showed(text: string): Promise<void> {
    while (!shown.includes(text)) await changed.promise;
  }
  return { child, showed };
}

test("closing its terminal ends it, and SIGHUP while the terminal is there reloads", async () => {
  const secret = "secret-of-the-default-app-in-these-tests";
  const env = { APP_SECRET: secret, SOCKET_HOST: "127.0.0.1", PORT: String(freePort()), SOCKET_DRAIN: "0" };
  const { child, showed } = startInTerminal(env);
  try {
    await showed("in a browser");
    child.kill("SIGHUP");
    await showed("settings were reloaded");
    child.terminal!.close();
    expect(await child.exited).toBe(0);
  } finally {
    child.kill("SIGKILL");
  }
});
