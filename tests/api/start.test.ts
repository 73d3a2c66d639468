import { expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listen } from "./listening.ts";

const MAIN = join(import.meta.dir, "..", "..", "src", "main.ts");

/** The command in a folder of its own, with no settings but where it listens. */
class Started implements AsyncDisposable {
  output = "";
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  #changed = Promise.withResolvers<void>();

  constructor(folder: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = Bun.spawn([process.execPath, MAIN], {
      cwd: folder,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: {
        PATH: process.env["PATH"] ?? "",
        PORT: "0",
        SOCKET_HOST: "127.0.0.1",
        SOCKET_DRAIN: "0",
        SOCKET_ADMIN_PORT: "off",
        ...env,
      },
    });
    void this.#read(this.#child.stdout);
    void this.#read(this.#child.stderr);
  }

  /** What stands in the output once it does. */
  async shown(pattern: RegExp): Promise<string> {
    for (;;) {
      const { promise } = this.#changed;
      const found = pattern.exec(this.output)?.[1];
      if (found !== undefined) return found;
      await promise;
    }
  }

  async exit(): Promise<number> {
    return this.#child.exited;
  }

  async stop(): Promise<number> {
    this.#child.kill("SIGTERM");
    return this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      this.output += decoder.decode(bytes, { stream: true });
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

/** A folder whose name a shell would split. */
async function folderOf(): Promise<{ path: string } & AsyncDisposable> {
  const parent = await mkdtemp(join(tmpdir(), "service-socket-start-"));
  const path = join(parent, "it's a folder");
  await mkdir(path);
  return { path, [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true }) };
}

const LISTENER = /^ {2}(curl -N .*)$/m;
const PUBLISH = /^ {2}(curl (?!-N).*)$/m;

for (const [name, env] of [
  ["with no settings", {}],
  ["with a data folder whose name a shell would split", { SOCKET_DATA: "it's $HOME `data`" }],
] as const) {
  test(`the start-up text, ${name}, holds a listener and a publish that work when pasted, and no secret`, async () => {
    await using folder = await folderOf();
    await using started = new Started(folder.path, env);
    const listener = await started.shown(LISTENER);
    const publish = await started.shown(PUBLISH);
    const page = await started.shown(/(http:\/\/127\.0\.0\.1:\d+\/console) in a browser/);

    const data = join(folder.path, "SOCKET_DATA" in env ? env.SOCKET_DATA : "data");
    const secret = (await readFile(join(data, "secret"), "utf8")).trim();
    expect(secret.length).toBeGreaterThanOrEqual(32);
    expect((await stat(join(data, "secret"))).mode & 0o777).toBe(0o600);
    expect((await stat(data)).mode & 0o077).toBe(0);

    const listening = Bun.spawn(["sh", "-c", `exec ${listener}`], {
      cwd: folder.path,
      stdout: "pipe",
      stderr: "ignore",
    });
    try {
      const shown = listening.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
      let text = "";
      const until = async (part: string) => {
        while (!text.includes(part)) text += (await shown.next()).value ?? expect.unreachable("the stream ended");
      };
      await until("event: socket:live");
      const published = Bun.spawn(["sh", "-c", publish], { cwd: folder.path, stdout: "pipe", stderr: "ignore" });
      expect(await new Response(published.stdout).json()).toMatchObject({
        code: 0,
        data: { channel: "news", subscribers: 1 },
      });
      await until("\ndata: hello\n\n");
    } finally {
      listening.kill();
      await listening.exited;
    }
    expect((await fetch(page)).headers.get("Content-Type")).toStartWith("text/html");

    expect(await started.stop()).toBe(0);
    expect(started.output).not.toContain(secret);
  });
}

test("a second start keeps the secret and what was published, and warns when others can read the secret", async () => {
  await using folder = await folderOf();
  await using first = new Started(folder.path);
  await first.shown(LISTENER);
  const file = join(folder.path, "data", "secret");
  const secret = await readFile(file, "utf8");
  const url = await first.shown(/listens on (\S+)/);
  const headers = { Authorization: `key=${secret.trim()}` };
  expect((await fetch(`${url}/chat/send?channel=news&data=kept`, { method: "POST", headers })).status).toBe(200);
  expect(await first.stop()).toBe(0);
  await chmod(file, 0o644);

  await using second = new Started(folder.path);
  const again = await second.shown(/listens on (\S+)/);
  expect(await readFile(file, "utf8")).toBe(secret);
  expect(await (await fetch(`${again}/channel/news/history`, { headers })).text()).toContain('"data":"kept"');
  await second.shown(/(mode 0644)/);
  expect(second.output).not.toContain("A secret was made");
  expect(await second.stop()).toBe(0);
  expect(second.output).not.toContain(secret.trim());
});

test("nothing that is asked of the server puts a secret, a token or a query into its log", async () => {
  await using folder = await folderOf();
  const secret = "secret-of-this-test-that-is-in-no-log";
  await using started = new Started(folder.path, { APP_SECRET: secret, SOCKET_LOG_LEVEL: "debug" });
  const url = await started.shown(/listens on (\S+)/);
  const answer = await fetch(`${url}/channel/subscribe?channel=news&app_secret=${secret}&user=queried`, {
    method: "POST",
  });
  const { data } = (await answer.json()) as { data: { url: string; token: string } };
  const abort = new AbortController();
  await fetch(data.url, { signal: abort.signal });
  abort.abort();
  await started.shown(/(stream closed)/);
  await fetch(`${url}/chat/send?app_secret=${secret}`, { method: "POST" });
  await fetch(`${url}/channel/news/stream?token=${data.token}x`);
  expect(await started.stop()).toBe(0);
  for (const part of [secret, data.token, "queried", "eyJ"]) expect(started.output).not.toContain(part);
  expect(await readdir(join(folder.path, "data"))).not.toContain("secret");
});

test("the command serves the apps of a settings file", async () => {
  await using folder = await folderOf();
  const apps = ["shop", "blog"].map(
    (id) =>
      `[[apps]]\nid = "${id}"\nsecrets = ["secret-of-${id}-that-is-long-enough-for-it"]\npublic_channels = ["news"]\n`,
  );
  await writeFile(join(folder.path, "apps.toml"), apps.join("\n"));
  await using started = new Started(folder.path, { SOCKET_CONFIG: "apps.toml" });
  const url = await started.shown(/listens on (\S+)/);
  await using stream = await (await listen(`${url}/channel/news/stream?app=blog`, { authorization: null })).live();
  for (const id of ["shop", "blog"]) {
    const headers = { Authorization: `key=secret-of-${id}-that-is-long-enough-for-it` };
    expect((await fetch(`${url}/chat/send?channel=news&data=${id}`, { method: "POST", headers })).status).toBe(200);
  }
  expect(await stream.next()).toMatchObject({ data: "blog" });
  expect(started.output).not.toContain("long-enough-for-it");
});

test("a setting that is wrong stops the start with one line that names it", async () => {
  await using folder = await folderOf();
  await using started = new Started(folder.path, { SOCKET_HEARTBEAT: "15" });
  expect(await started.exit()).toBe(78);
  await started.shown(/(SOCKET_HEARTBEAT)/);
  expect(started.output.trim().split("\n")).toHaveLength(1);
  expect(await readdir(folder.path)).toEqual([]);
});

test("serve --help teaches every setting, and --version tells the version", async () => {
  const help = await Bun.$`${process.execPath} ${MAIN} serve --help`.text();
  for (const word of ["--history-count, SOCKET_HISTORY_COUNT", "APP_SECRET", "Default: 10000."]) {
    expect(help).toContain(word);
  }
  expect(await Bun.$`${process.execPath} ${MAIN} --version`.text()).toBe("0.1.0\n");
});

test("what is kept is for nobody else to read, also in a folder that is open to all", async () => {
  const folder = await mkdtemp(join(tmpdir(), "service-socket-"));
  try {
    await mkdir(join(folder, "data"));
    await chmod(join(folder, "data"), 0o755);
    await using started = new Started(folder);
    await started.shown(/listens on (\S+)/);
    for (const name of await readdir(join(folder, "data"))) {
      expect([name, (await stat(join(folder, "data", name))).mode & 0o077]).toEqual([name, 0]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
