import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { atMost, compare, type Series, within } from "../figure.ts";
import { hold, type Result } from "../load.ts";
import { folder } from "../process.ts";
import { Results, type Row, withServers } from "../row.ts";
import { ours, type Server } from "../servers.ts";

const STREAMS = 10_000;
const SECRETS = { big: "bench-secret-of-the-big-app-000000000000", small: "bench-secret-of-the-small-app-0000000000" };

function twoApps(): Promise<Server> {
  const file = join(folder(), "apps.json");
  const apps = Object.entries(SECRETS).map(([id, secret]) => ({ id, secrets: [secret] }));
  writeFileSync(file, JSON.stringify({ apps }));
  return ours("sqlite", { SOCKET_CONFIG: file });
}

function as(app: keyof typeof SECRETS) {
  return {
    streamPath: `/channel/c{channel}/stream?app=${app}`,
    publishHeader: [`Authorization: key=${SECRETS[app]}`, "Content-Type: application/json"],
    greeting: true,
  };
}

interface Look {
  /** Back-to-back GETs of /healthz on one connection. */
  readonly probe: Result;
  /** One stream of the small app, 100 publishes a second. */
  readonly small: Result;
}

async function look(server: Server, seconds: number): Promise<Look> {
  const loads = await Promise.all([
    hold(server, { method: "GET", publishPath: "/healthz", messages: 1_000_000, seconds, settle: 0 }),
    hold(server, { ...as("small"), streams: 1, rate: 100, messages: 10_000, publishers: 64, seconds, settle: 0 }),
  ]);
  const [probe, small] = await Promise.all(loads.map((one) => one.result()));
  return { probe: probe!, small: small! };
}

function p99(results: Results): Series {
  return results.series((result) => result.deliveries.latencyMs.p99);
}

export const turns: Row = {
  name: "turn",
  title: "While 10,000 streams of one app are sent to: the longest turn, and the other app",
  sockets: STREAMS,
  run(bench) {
    return withServers([twoApps()], async ([server]) => {
      const streams = bench.size(STREAMS, 1000);
      const seconds = bench.size(3, 0.5);
      const quiet = { probe: new Results("idle"), small: new Results("idle") };
      const busy = { probe: new Results("ours"), small: new Results("ours") };
      const big = new Results("ours");
      for (let round = 0; round < bench.runs; round++) {
        const messages = 1_000_000 / 20;
        const held = await hold(server!, {
          ...as("big"),
          streams,
          wait: true,
          nice: 10,
          lockstep: true,
          messages,
          seconds: seconds + 0.5,
        });
        const before = await look(server!, seconds);
        held.go();
        const during = await look(server!, seconds);
        big.all.push(await held.result());
        quiet.probe.all.push(before.probe);
        quiet.small.all.push(before.small);
        busy.probe.all.push(during.probe);
        busy.small.all.push(during.small);
        bench.say(`round ${round + 1} of ${bench.runs}`);
      }
      const idleMs = quiet.probe.series((result) => result.publish.latencyMs.p50);
      const longest = busy.probe.series((result) => result.publish.latencyMs.max);
      const turn = { ...longest, runs: longest.runs.map((ms, i) => ms - idleMs.runs[i]!) };
      const faults = [...turn.faults, ...big.series(() => 0).faults];
      return [
        within("longest turn", "ms", { ...turn, faults }, 25),
        compare("p99 of the one-stream app", "ms", p99(busy.small), p99(quiet.small), atMost(2)),
      ];
    });
  },
};
