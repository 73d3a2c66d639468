/**
 * `bun run bench [rows…] [--runs 5] [--quick] [--server "command"]`: measures this project beside its rivals and prints
 * a table. Ends with status 1 when a target is missed, 2 when it cannot measure. README.md says what each row is.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { find } from "../tests/setup/programs.ts";
import { BUILD, build, RUNS } from "./build.ts";
import { type Figure, verdict } from "./figure.ts";
import { descriptorLimit, endAll, SPARE } from "./process.ts";
import type { Bench, Row } from "./row.ts";
import { burstOne, burstSpread } from "./rows/burst.ts";
import { idleMemory } from "./rows/idle.ts";
import { opening } from "./rows/open.ts";
import { publishing } from "./rows/publish.ts";
import { redisLatency } from "./rows/redis-latency.ts";
import { redisOperations } from "./rows/redis-operations.ts";
import { redisPublish } from "./rows/redis-publish.ts";
import { redisResume } from "./rows/redis-resume.ts";
import { redisTraffic } from "./rows/redis-traffic.ts";
import { resuming } from "./rows/resume.ts";
import { singleCpu, singleLast } from "./rows/single.ts";
import { turns } from "./rows/turn.ts";
import { findNchan, measure } from "./servers.ts";
import { table } from "./table.ts";

const ROWS: readonly Row[] = [
  singleCpu,
  singleLast,
  burstOne,
  burstSpread,
  idleMemory,
  publishing,
  opening,
  resuming,
  turns,
  redisPublish,
  redisLatency,
  redisOperations,
  redisTraffic,
  redisResume,
];

function stop(why: string): never {
  console.error(why);
  process.exit(2);
}

function chosen(names: readonly string[]): readonly Row[] {
  const unknown = names.find((name) => !ROWS.some((row) => row.name === name));
  if (unknown !== undefined) stop(`There is no row ${unknown}. Rows: ${ROWS.map((row) => row.name).join(" ")}`);
  return names.length === 0 ? ROWS : ROWS.filter((row) => names.includes(row.name));
}

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: { runs: { type: "string" }, quick: { type: "boolean", default: false }, server: { type: "string" } },
  allowPositionals: true,
});
const quick = values.quick;
const runs = Number(values.runs ?? (quick ? 1 : 5));
if (!Number.isInteger(runs) || runs < 1) stop("--runs takes a whole number from 1");
const rows = chosen(positionals);
if (process.platform !== "linux") stop("The bench needs Linux: it reads /proc and waits on epoll.");
if (!build()) stop("There is no C compiler `cc` for the load generator. On Debian: apt-get install gcc libc6-dev");
writeFileSync(RUNS, "");
if (values.server !== undefined) measure(values.server);

const nchan = findNchan();
if (nchan === null) {
  console.log("nchan is left out: not installed. On Debian: apt-get install nginx-light libnginx-mod-nchan");
}
const limit = descriptorLimit();
const began = performance.now();
const bench: Bench = {
  runs,
  quick,
  nchan,
  size: (full, small) => (quick ? small : full),
  say: (text) => console.error(`  ${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`),
};

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    void endAll().finally(() => process.exit(130));
  });
}

const measured: { name: string; title: string; figures: Figure[] }[] = [];
let broken = false;
for (const row of rows) {
  const needed = Math.ceil((quick ? Math.min(row.sockets, 1000) : row.sockets) * SPARE) + 100;
  if (limit < needed) {
    console.log(
      `${row.name} is left out: it needs ${needed} descriptors a process, the hard limit is ${limit} (ulimit -Hn)`,
    );
    continue;
  }
  const missing = (row.needs ?? []).find((name) => find(name) === null);
  if (missing !== undefined) {
    console.log(`${row.name} is left out: there is no ${missing}. On Debian: apt-get install ${missing}`);
    continue;
  }
  console.error(`${row.name}: ${row.title}`);
  try {
    measured.push({ name: row.name, title: row.title, figures: await row.run(bench) });
  } catch (error) {
    broken = true;
    console.error(`${row.name} could not be measured: ${error instanceof Error ? error.message : String(error)}`);
  }
}
await endAll();

const machine = `${cpus()[0]?.model ?? "unknown CPU"}, ${cpus().length} cores, Bun ${Bun.version}`;
const seconds = Math.round((performance.now() - began) / 1000);
writeFileSync(join(BUILD, "last.json"), JSON.stringify({ machine, runs, quick, seconds, rows: measured }, null, 2));
console.log(`\n${table(measured)}\n\n${machine}; medians of ${runs} alternating runs; ${seconds} s in all.`);
if (quick) console.log("A quick run: it shows that the bench works; its figures mean nothing.");
const missed = measured.flatMap(({ figures }) => figures).filter((figure) => verdict(figure) === "miss").length;
process.exit(broken ? 2 : missed > 0 && !quick ? 1 : 0);
