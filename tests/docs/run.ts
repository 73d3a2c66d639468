import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "../../src/index.ts";
import { type Block, blocksOf, named, ROOT } from "./markdown.ts";

const WITHIN_MS = 10_000;
/** Where the documents' server listens. */
const DOCUMENTED = "http://localhost:3000";

/** A command of a document that was started; some, such as a listener, do not end. */
class Example {
  readonly name: string;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  #output = "";
  #changed = Promise.withResolvers<void>();

  constructor(name: string, command: readonly string[], cwd: string) {
    this.name = name;
    this.#child = Bun.spawn([...command], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    void this.#collect();
  }

  get output(): string {
    return this.#output;
  }

  /** Resolves once the output, or a part of it, is what the document shows; rejects when it does not come. */
  async says(text: string, url: string): Promise<void> {
    const expected = alike(text).trim();
    const deadline = AbortSignal.timeout(WITHIN_MS);
    const late = new Promise<void>((resolve) => deadline.addEventListener("abort", () => resolve(), { once: true }));
    while (!alike(this.#output.replaceAll(url, DOCUMENTED)).includes(expected)) {
      if (deadline.aborted || this.#child.exitCode !== null) {
        throw new Error(`${this.name} should have said\n${expected}\nbut said\n${alike(this.#output)}`);
      }
      await Promise.race([this.#changed.promise, this.#child.exited, late]);
      await new Promise(setImmediate); // what was written before the end is read after it
    }
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#child.stdout) {
      this.#output += decoder.decode(bytes, { stream: true });
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

/** What differs from run to run is made alike: ids but for their count, times, tokens, waits. */
function alike(text: string): string {
  return text
    .replaceAll(/\b[0-9a-z]{10}-(\d+)\b/g, "<epoch>-$1")
    .replaceAll(/"(stream|node|request_id)":"[0-9a-z]+"/g, '"$1":"…"')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>")
    .replaceAll(/eyJ[\w.…-]+/g, "<token>")
    .replaceAll(/^retry: \d+$/gm, "retry: …");
}

/**
 * Runs every runnable block of a document in its order against one fresh server on `memory:`, and waits for what the
 * document says that it answers. Blocks of JavaScript with one name are one program. Addresses with a token in what was
 * said are opened as well. Resolves with how many examples there were.
 */
export async function runExamples(markdown: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "service-socket-docs-"));
  const examples = new Map<string, Example>();
  await linkModules(folder);
  const argv = [
    "--port",
    "0",
    "--host",
    "127.0.0.1",
    "--broker",
    "memory:",
    "--data",
    join(folder, "data"),
    "--drain",
    "0",
  ];
  const server = await createServer({ argv });
  try {
    const blocks = blocksOf(markdown);
    for (const block of blocks) {
      const name = named(block, "runnable");
      const said = named(block, "says");
      if (name !== undefined && block === blocks.findLast((other) => named(other, "runnable") === name)) {
        const parts = blocks.filter((other) => named(other, "runnable") === name);
        const text = parts.map((part) => part.text).join("\n");
        const command = await commandOf(block, name, text.replaceAll(DOCUMENTED, server.url), folder);
        examples.set(name, new Example(`The example ${name} (line ${block.line})`, command, folder));
      }
      if (said === undefined) continue;
      const example = examples.get(said);
      if (example === undefined) throw new Error(`Line ${block.line}: there is no example ${said}.`);
      await example.says(block.text, server.url);
    }
    for (const example of examples.values()) await openAddresses(example.output);
    return examples.size;
  } finally {
    await Promise.all([...examples.values()].map((example) => example.end()));
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function commandOf(block: Block, name: string, text: string, folder: string): Promise<readonly string[]> {
  if (block.language === "sh") return ["bash", "-euo", "pipefail", "-c", text];
  const file = join(folder, `${name}.${block.language}`);
  await writeFile(file, text);
  return [process.execPath, "--preload", join(import.meta.dir, "eventsource.ts"), file];
}

/** An example imports what its reader would have installed. */
async function linkModules(folder: string): Promise<void> {
  const modules = join(folder, "node_modules");
  await mkdir(modules);
  await symlink(ROOT, join(modules, "service-socket"), "dir");
  await symlink(join(ROOT, "node_modules", "jose"), join(modules, "jose"), "dir");
}

async function openAddresses(output: string): Promise<void> {
  for (const [address] of output.matchAll(/http:[^\s"]+[?&]token=[\w.-]+/g)) {
    const ended = new AbortController();
    const { status, headers } = await fetch(address, { signal: ended.signal });
    ended.abort();
    const type = headers.get("content-type");
    if (status !== 200 || type !== "text/event-stream") throw new Error(`${address} answered ${status} ${type}.`);
  }
}
