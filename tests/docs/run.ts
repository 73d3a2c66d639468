import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "../../src/index.ts";
import { DOCUMENTED, Example } from "./example.ts";
import { type Block, blocksOf, named, ROOT } from "./markdown.ts";

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
    await linkProgram(folder, server.url);
    const path = { PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}` };
    const blocks = blocksOf(markdown);
    for (const block of blocks) {
      const name = named(block, "runnable");
      const said = named(block, "says");
      if (name !== undefined && block === blocks.findLast((other) => named(other, "runnable") === name)) {
        const parts = blocks.filter((other) => named(other, "runnable") === name);
        const text = parts.map((part) => part.text).join("\n");
        const command = await commandOf(block, name, text.replaceAll(DOCUMENTED, server.url), folder);
        examples.set(name, new Example(`The example ${name} (line ${block.line})`, command, folder, path));
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

/** `service-socket`, as `bun link` puts it on the PATH; its gateway is the one of the documents. */
async function linkProgram(folder: string, url: string): Promise<void> {
  const file = join(folder, "bin", "service-socket");
  await mkdir(join(folder, "bin"));
  await writeFile(file, `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, "src", "main.ts")}' "$@" --url ${url}\n`);
  await chmod(file, 0o755);
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
