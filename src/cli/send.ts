import { fstatSync } from "node:fs";
import { post, Refusal } from "./api.ts";
import { Backoff } from "./backoff.ts";
import { type Batch, batchesOf, halves } from "./batches.ts";
import { addressOf, DEFAULT_URL, durationOf, parse, usage } from "./command.ts";
import { needSecret, SECRET_HELP } from "./credential.ts";
import { CommandError, EXIT, type ExitCode, exitCodes } from "./exit.ts";
import { linesOf } from "./lines.ts";
import { Progress } from "./progress.ts";
import { note, OutputClosed, print } from "./terminal.ts";

const OPTIONS = {
  url: { type: "string", default: DEFAULT_URL },
  "secret-file": { type: "string" },
  event: { type: "string" },
  "idempotency-key": { type: "string" },
  "retry-for": { type: "string", default: "30s" },
  json: { type: "boolean", default: false },
} as const;

const RETRY_LEAST_MS = 250;
const RETRY_MOST_MS = 10_000;
const DAY_MS = 86_400_000;

export function help(): string {
  return `service-socket send <channel> [data]: publishes messages

  service-socket send news hello
  tail -n 0 -F app.log | service-socket send logs.app

With data it publishes that one message. Without, it reads standard input, one message a line, and publishes up to 100
lines at a time, in their order. What the gateway cannot take right now (a limit, a restart, a network that is away) is
tried again, and published once. Shows the id of the message, or how many were sent and the id of the last.

  --event <name>            Name of the event; \`message\` when absent.
  --url <address>           The gateway. Default: ${DEFAULT_URL}.
  --secret-file <path>      File that holds the app's secret.
  --idempotency-key <key>   Makes it safe to run the same command again: what was published is not published twice. Of
                            standard input it takes the same lines; lines are then sent only as whole hundreds, and at
                            the end.
  --retry-for <duration>    How long to try again. Default: 30s; 0 tries once.
  --json                    One JSON object a message: {"id":…,"channel":…,"subscribers":…}
  --                        What follows is no option: \`send news -- --hello\`

${SECRET_HELP}

${exitCodes(
  [EXIT.ok, "published"],
  [EXIT.usage, "the command was not understood"],
  [EXIT.data, "the gateway refuses a message; what stood before its batch is published"],
  [EXIT.unavailable, "the gateway does not answer, or takes nothing right now"],
  [EXIT.noPermission, "the secret is refused"],
  [EXIT.config, "there is no secret"],
)}
`;
}

export async function run(argv: readonly string[]): Promise<ExitCode> {
  const { values, words } = parse("send", argv, OPTIONS);
  const [channel, data, ...more] = words;
  if (channel === undefined) throw usage("send", "it takes a channel.");
  if (more.length > 0) throw usage("send", "data is one word; put quotes around it.");
  const sender = new Sender({
    url: `${addressOf("send", values.url)}/chat/send-multi`,
    secret: needSecret(values["secret-file"], process.env),
    key: values["idempotency-key"] ?? null,
    retryForMs: durationOf("send", "--retry-for", values["retry-for"], 0, DAY_MS),
    isJson: values.json,
    isLines: data === undefined,
  });
  const messageOf = (line: string): string => JSON.stringify({ channel, event: values.event, data: line });
  if (data !== undefined) {
    await sender.send({ messages: [messageOf(data)], firstLine: 1, bytes: 0 });
    if (!values.json) await print(`${sender.lastId}\n`);
    return EXIT.ok;
  }
  if (process.stdin.isTTY) note("Each line that you enter is a message; Ctrl-D ends.");
  const lines = linesOf(Bun.stdin.stream());
  for await (const batch of batchesOf(lines, messageOf, values["idempotency-key"] !== undefined)) {
    await sender.send(batch);
  }
  sender.progress.clear();
  if (!values.json) await print(summary(sender));
  return EXIT.ok;
}

function summary({ count, lastId }: Sender): string {
  if (count === 0) return "Nothing to send: standard input was empty.\n";
  return `${count.toLocaleString("en-US")} ${count === 1 ? "message" : "messages"} sent, the last is ${lastId}\n`;
}

interface Published {
  readonly id: string;
}

interface SenderOptions {
  readonly url: string;
  readonly secret: string;
  readonly key: string | null;
  readonly retryForMs: number;
  readonly isJson: boolean;
  readonly isLines: boolean;
}

/** Publishes batches one after another. */
class Sender {
  readonly progress: Progress;
  count = 0;
  lastId = "";
  #bytes = 0;
  #isHeard = true;
  readonly #options: SenderOptions;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.progress = new Progress(process.stderr, options.isLines ? sizeOfInput() : null);
  }

  /** Rejects with CommandError, which names the line at fault. */
  async send(batch: Batch): Promise<void> {
    let published: readonly Published[];
    try {
      published = await this.#persist(batch);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (batch.messages.length === 1 || !isTooLarge(error)) throw this.#failure(error, batch);
      for (const half of halves(batch)) await this.send(half);
      return;
    }
    this.count += published.length;
    this.#bytes += batch.bytes;
    this.lastId = published.at(-1)!.id;
    if (this.#options.isJson) await this.#tell(published);
    this.progress.update(this.count, this.#bytes);
  }

  async #tell(published: readonly Published[]): Promise<void> {
    if (!this.#isHeard) return;
    try {
      await print(published.map((message) => `${JSON.stringify(message)}\n`).join(""));
    } catch (error) {
      if (!(error instanceof OutputClosed)) throw error;
      this.#isHeard = false; // what is still to be sent is sent all the same
    }
  }

  /** One key for all tries of a batch, since the outcome of one that broke off is not known. */
  async #persist({ messages, firstLine }: Batch): Promise<readonly Published[]> {
    const { url, secret, key, retryForMs, isLines } = this.#options;
    const once = key === null ? crypto.randomUUID() : isLines ? `${key}-${firstLine}` : key;
    const body = `[${messages.join(",")}]`;
    const backoff = new Backoff(RETRY_LEAST_MS, RETRY_MOST_MS);
    const endsAtMs = performance.now() + retryForMs;
    for (;;) {
      try {
        return (await post<{ messages: Published[] }>(url, secret, body, { "Idempotency-Key": once })).messages;
      } catch (error) {
        const leftMs = endsAtMs - performance.now();
        if (!(error instanceof Refusal) || !error.willPass || leftMs <= 0) throw error;
        const waitMs = Math.min(backoff.next(error.retryAfterMs ?? 0), leftMs);
        this.progress.clear();
        note(`${error.message}; trying again in ${(waitMs / 1000).toFixed(1)} s`);
        await Bun.sleep(waitMs);
      }
    }
  }

  #failure(error: Refusal, { firstLine, messages }: Batch): CommandError {
    this.progress.clear();
    const { code, message } = error.asCommandError;
    if (!this.#options.isLines) return new CommandError(code, message);
    const index = /^body\[(\d+)\]/.exec(error.field ?? "")?.[1];
    const line = index === undefined && messages.length > 1 ? null : firstLine + Number(index ?? 0);
    const sent = firstLine === 1 ? "nothing was sent" : `lines 1 to ${firstLine - 1} were sent`;
    return new CommandError(code, `${line === null ? "" : `line ${line}: `}${message}; ${sent}`);
  }
}

/** A gateway may be set to smaller batches than ours. */
function isTooLarge({ type, field }: Refusal): boolean {
  return (type === "batch_invalid" || type === "payload_too_large") && (field === null || field === "body");
}

/** Of a file that standard input is; null of anything else. */
function sizeOfInput(): number | null {
  try {
    const stat = fstatSync(0);
    return stat.isFile() ? stat.size : null;
  } catch {
    return null;
  }
}
