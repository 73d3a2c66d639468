import { expect, test } from "bun:test";
import { join } from "node:path";
import { call, SECRET, serve } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { claimsOf } from "../api/tokens.ts";
import { program } from "../setup/programs.ts";

const FOLDER = join(import.meta.dir, "..", "..", "examples", "tokens");

for (const [file, command] of [
  ["mint.mjs", process.execPath],
  ["mint.py", program("python")],
  ["mint.rb", program("ruby")],
] as const) {
  if (command === null) continue;

  async function mint(...args: readonly string[]): Promise<string> {
    const env = { PATH: process.env["PATH"], LANG: "C.UTF-8", APP_SECRET: SECRET };
    const child = Bun.spawn([command!, file, ...args], { cwd: FOLDER, env, stdout: "pipe", stderr: "inherit" });
    const token = (await new Response(child.stdout).text()).trim();
    expect(await child.exited).toBe(0);
    return token;
  }

  test(`a token of ${file} opens what it grants, for its user and its time, and nothing else`, async () => {
    await using server = await serve();
    const token = await mint("Änn", "600", "news", "room.*");
    const address = (channel: string) => `${server.url}/stream?channel=${channel}&token=${token}`;
    await using stream = await listen(address("news&channel=room.*"), { authorization: null });
    const { expires_at } = await stream.told("open");
    const { exp, iat, jti } = claimsOf(token);
    expect(expires_at).toBe(new Date((exp as number) * 1000).toISOString());
    expect((exp as number) - (iat as number)).toBe(600);
    const { data } = await call<{ streams: unknown[] }>(server, "GET", "/streams?channel=room.1");
    expect(data.streams).toMatchObject([{ user: "Änn", token: jti, grant: "token" }]);
    expect((await fetch(address("other"))).status).toBe(403);
  });
}
