import { diagnose, type Diagnosis, type Finding } from "../doctor/diagnose.ts";
import { durationOf, parse, usage } from "./command.ts";
import { CommandError, EXIT, type ExitCode, exitCodes } from "./exit.ts";
import { httpVersionOf } from "./http-version.ts";
import { note, print } from "./terminal.ts";

const OPTIONS = {
  for: { type: "string", default: "20s" },
  origin: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

/** What the gateway takes. */
const LEAST_MS = 1000;
const MOST_MS = 300_000;

export function help(): string {
  return `service-socket doctor <address>: says what proxies do to a stream

  service-socket doctor https://events.example.com --origin https://app.example.com --for 90s

It opens a timed stream through whatever stands between, and says whether it is buffered and by how many seconds, cut
and after how many, whether it comes over HTTP/1.1 or 2, whether it is compressed, and whether pages of another origin
can read it: a line each, with the lines to write for nginx where something is wrong. It needs no credential.

The address is the gateway's as users see it, or a stream's, with its token: then that stream is opened as well.

  --for <duration>   How long to look, 1s to 5m. Default: 20s, in which a quiet stream is sent a heartbeat. What proxies
                     cut after a minute shows with 90s.
  --origin <origin>  A page's, such as https://app.example.com: whether its EventSource could read the stream.
  --json             One JSON object

${exitCodes(
  [EXIT.ok, "nothing is wrong"],
  [EXIT.problem, "a problem was found"],
  [EXIT.couldNotLook, "it could not look: nothing answers, or no gateway"],
  [EXIT.usage, "the command was not understood"],
)}
`;
}

const CODES = { ok: EXIT.ok, problem: EXIT.problem, unknown: EXIT.couldNotLook } as const;

export async function run(argv: readonly string[]): Promise<ExitCode> {
  const { values, words } = parse("doctor", argv, OPTIONS);
  if (words.length !== 1) throw usage("doctor", "it takes one address.");
  const { url, path, stream } = placeOf(words[0]!);
  const forMs = durationOf("doctor", "--for", values.for, LEAST_MS, MOST_MS);
  const origin = values.origin === undefined ? null : originOf(values.origin);
  note(`looking at ${url}${path} for ${forMs / 1000} s …`);
  let diagnosis: Diagnosis;
  try {
    diagnosis = await diagnose({
      url,
      path,
      stream,
      forMs,
      origin,
      httpVersion: await httpVersionOf(url),
      // As browsers do; else a proxy that compresses would not show.
      headers: { "Accept-Encoding": "gzip, deflate, br, zstd" },
      fetch,
      elapsed: () => performance.now(),
    });
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    const says = `${new URL(url).origin} does not answer (${code ?? message ?? "unknown reason"})`;
    if (values.json) await print(`${JSON.stringify({ url, verdict: "unknown", error: says })}\n`);
    throw new CommandError(EXIT.couldNotLook, says);
  }
  await print(values.json ? `${JSON.stringify(jsonOf(diagnosis))}\n` : textOf(diagnosis.findings));
  return CODES[diagnosis.verdict];
}

function jsonOf({ url, verdict, httpVersion, bufferedMs, cutAfterMs, compression, findings, seen }: Diagnosis): object {
  return {
    url,
    verdict,
    http_version: httpVersion,
    first_event_ms: seen.ticks.length === 0 ? null : Math.round(seen.ticks[0]!.arrivedMs),
    buffered_ms: bufferedMs,
    cut_after_ms: cutAfterMs,
    compression,
    findings,
  };
}

const WIDTH = "problem".length + 2;

function textOf(findings: readonly Finding[]): string {
  const indent = " ".repeat(WIDTH);
  const lines = findings.flatMap(({ level, says, fix }) => [
    `${level.padEnd(WIDTH)}${says}`,
    ...fix.map((line) => `${indent}    ${line}`),
  ]);
  return `${lines.join("\n")}\n`;
}

interface Place {
  readonly url: string;
  readonly path: string;
  /** The whole address of the stream that was given; null where it is the gateway's. */
  readonly stream: string | null;
}

const STREAM_PATH = /^(.*?)(\/channel\/[^/]+\/stream|\/stream)$/;

function placeOf(text: string): Place {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "") {
    throw usage("doctor", "it takes an address such as https://events.example.com.");
  }
  const [, base, path] = STREAM_PATH.exec(url.pathname) ?? [];
  if (path !== undefined) return { url: `${url.origin}${base}`, path, stream: url.href };
  return { url: `${url.origin}${url.pathname}`.replace(/\/+$/, ""), path: "/stream", stream: null };
}

function originOf(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && /^[^/]+\/\/[^/]+\/?$/.test(text)) return url.origin;
  throw usage("doctor", "--origin takes an origin such as https://app.example.com.");
}
