import { expect } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "../../src/index.ts";
import { listen } from "../api/listening.ts";
import { alike, DOCUMENTED, Example } from "./example.ts";
import { type Block, blocksOf } from "./markdown.ts";

/** The languages of the API page, in the order of its tabs. */
export const LANGUAGES = ["shell", "ruby", "python", "javascript"] as const;
export type Language = (typeof LANGUAGES)[number];

const BUN = [process.execPath, "--preload", join(import.meta.dir, "eventsource.ts")];

/** Runs the file that is its last argument. */
const COMMANDS: Readonly<Record<Language, readonly string[]>> = {
  shell: ["bash", "-euc", '. "$0"'],
  ruby: ["ruby"],
  python: ["python3"],
  javascript: BUN,
};

/**
 * Runs the files that it is told, a line each, and writes END after what each of them says; ends at the first that fails.
 * Starting an interpreter for each would take longer than all that they do.
 */
const LOOPS: Readonly<Record<Language, readonly string[]>> = {
  shell: ["bash", "-euc", String.raw`while read -r file; do (. "$file"); printf '\036'; done`],
  ruby: [
    "ruby",
    "-e",
    String.raw`$stdin.each_line(chomp: true) { |file| load(file, true); print "\x1e"; $stdout.flush }`,
  ],
  python: [
    "python3",
    "-c",
    String.raw`
import runpy, sys
for file in iter(sys.stdin.readline, ""):
    runpy.run_path(file.strip(), run_name="__main__")
    print("\x1e", end="", flush=True)
`,
  ],
  javascript: [
    ...BUN,
    "-e",
    String.raw`for await (const file of console) { await import(file); process.stdout.write("\x1e"); }`,
  ],
};
const END = "\x1e";

/** Snippets that do the same in one or several languages, and what each of them answers. */
export interface Group {
  readonly snippets: ReadonlyMap<Language, Block>;
  readonly answer: Block;
}

/** All groups of a page in its own form: snippets, one a language, and below them their answer. Throws for any other. */
export function groupsOf(page: string): readonly Group[] {
  const groups: Group[] = [];
  let snippets = new Map<Language, Block>();
  for (const block of blocksOf(page)) {
    const language = LANGUAGES.find((one) => one === block.language);
    if (language !== undefined) {
      if (snippets.has(language)) throw new Error(`Line ${block.line}: the snippet above it has no answer.`);
      snippets.set(language, block);
    } else if (snippets.size > 0) {
      groups.push({ snippets, answer: block });
      snippets = new Map();
    }
  }
  for (const { line } of snippets.values()) throw new Error(`Line ${line}: the snippet has no answer.`);
  return groups;
}

/** What stands on the page in place of what differs from run to run. */
const STREAM = "5e97d7a4b219a11a";
const EPOCH = "k3v9x2m7qa";
const TOKEN = "eyJhbGciOi…";

/**
 * Runs every snippet of a page in one language, in its order, against one fresh server to which ann listens, and
 * compares what it answers: JSON as a whole, a stream, which goes on, as far as the page shows it. Where the page
 * shows something in the shell alone, that is run as well, so that messages are numbered alike in every language.
 * Resolves with how many snippets of the language there were.
 */
export async function runPage(page: string, language: Language): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "service-socket-docs-"));
  const argv = ["--port", "0", "--host", "127.0.0.1", "--broker", "memory:", "--drain", "0"];
  const cookies = ["--cookie-origins", "https://app.example.com"];
  const server = await createServer({ argv: [...argv, ...cookies, "--data", join(folder, "data")] });
  const secret = (await Bun.file(join(folder, "data", "secret")).text()).trim();
  const headers = { Authorization: `key=${secret}` };
  const env = { APP_SECRET: secret };
  const loops = new Map<string, Example>();
  let ttl = 600;

  /** Each lives longer than the one before, so that it renews what that one opened. */
  async function token(): Promise<string> {
    const body = JSON.stringify({ channel: ["news", "room.*"], user: "ann", ttl: ttl++ });
    const json = { ...headers, "Content-Type": "application/json" };
    const response = await fetch(`${server.url}/channel/subscribe`, { method: "POST", headers: json, body });
    return ((await response.json()) as { data: { token: string } }).data.token;
  }

  async function onlyAnnListens(): Promise<void> {
    for (;;) {
      const response = await fetch(`${server.url}/channel/news`, { headers });
      if (((await response.json()) as { data: { subscribers: number } }).data.subscribers === 1) return;
    }
  }

  /** Resolves with all that the file wrote. */
  async function runInLoop(file: string, name: Language): Promise<string> {
    let loop = loops.get(name);
    if (loop === undefined) loops.set(name, (loop = new Example(`A snippet in ${name}`, LOOPS[name], folder, env)));
    const before = loop.output.length;
    loop.tell(file);
    const end = await loop.when("its end", () => {
      const found = loop.output.indexOf(END, before);
      return found === -1 ? undefined : found;
    });
    return loop.output.slice(before, end);
  }

  try {
    await using ann = await listen(`${server.url}/stream?channel=news&token=${await token()}`, { authorization: null });
    const { stream, id } = await ann.told("open");
    const epoch = id!.slice(0, id!.indexOf("-"));

    async function run(name: Language, { line, text }: Block, answer: Block): Promise<void> {
      const file = join(folder, `line-${line}${name === "javascript" ? ".mjs" : ""}`);
      const filled = text
        .replaceAll(DOCUMENTED, server.url)
        .replaceAll(STREAM, stream as string)
        .replaceAll(EPOCH, epoch)
        .replaceAll(TOKEN, await token());
      await writeFile(file, filled);
      if (answer.language === "json") {
        const given = (await runInLoop(file, name)).replaceAll(server.url, DOCUMENTED);
        expect(`line ${line}: ${alike(compact(given))}`).toBe(`line ${line}: ${alike(compact(answer.text))}`);
        return;
      }
      const listener = new Example(`The snippet of line ${line} (${name})`, [...COMMANDS[name], file], folder, env);
      try {
        await listener.says(answer.text, server.url);
      } finally {
        await listener.end();
      }
      await onlyAnnListens();
    }

    let count = 0;
    for (const { snippets, answer } of groupsOf(page)) {
      const [own, shell] = [snippets.get(language), snippets.get("shell")];
      if (own !== undefined) count++;
      if (own !== undefined) await run(language, own, answer);
      else if (shell !== undefined && snippets.size === 1) await run("shell", shell, answer);
    }
    return count;
  } finally {
    await Promise.all([...loops.values()].map((loop) => loop.end()));
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Without the white space between the parts of JSON; the text of strings and numbers stays as it is. */
function compact(json: string): string {
  return json.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
}
