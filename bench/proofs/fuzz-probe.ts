/**
 * `bun fuzz-probe.ts PORT PID`: asks /healthz on a connection of its own, 2 ms after each answer, until its input ends. Then
 * it prints, as JSON, how long the answers took. A process of its own, so that nothing but the server holds it up; and the
 * time for which the kernel let the server or this process wait for a core is told apart from the rest.
 */
import { readFileSync } from "node:fs";

const PAUSE_MS = 2;
const REQUEST = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
const [port = "", server = ""] = process.argv.slice(2);

/** How long the main threads of both have waited for a core (Documentation/scheduler/sched-stats.rst). */
function waitedMs(): number {
  const paths = [`/proc/${server}/task/${server}/schedstat`, `/proc/self/task/${process.pid}/schedstat`];
  return paths.reduce((sum, path) => sum + Number(readFileSync(path, "utf8").split(" ")[1]) / 1e6, 0);
}

const tookMs: number[] = [];
const heldMs: number[] = [];
let sentAtMs = 0;
let waitedBeforeMs = 0;
let answer = "";

const connection = await Bun.connect({
  hostname: "127.0.0.1",
  port: Number(port),
  socket: {
    data(_, bytes) {
      answer += bytes.toString("latin1");
      if (!answer.endsWith('"Error":null}')) return;
      const took = performance.now() - sentAtMs;
      tookMs.push(took);
      heldMs.push(Math.max(0, took - (waitedMs() - waitedBeforeMs)));
      answer = "";
      setTimeout(ask, PAUSE_MS);
    },
    close: () => process.exit(1),
  },
});

function ask(): void {
  waitedBeforeMs = waitedMs();
  sentAtMs = performance.now();
  connection.write(REQUEST);
}

function times(all: number[]) {
  all.sort((a, b) => a - b);
  const at = (share: number): number => all[Math.min(all.length - 1, Math.floor(all.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

ask();
await Bun.stdin.text();
console.log(JSON.stringify({ count: tookMs.length, took: times(tookMs), held: times(heldMs) }));
process.exit(0);
