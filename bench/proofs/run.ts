/**
 * `bun run prove <name> [--quick] [--server "command"] [--beside "command"] [options]`: proves a promise of the real server and prints what it
 * saw. Ends with status 0 when all of it held, 1 when not, 2 when it could not run. README.md says what each proof is.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { find, PROGRAMS } from "../../tests/setup/programs.ts";
import { build } from "../build.ts";
import { endAll } from "../process.ts";
import { measure, mixWith } from "../servers.ts";
import { PROOFS } from "./list.ts";
import { CouldNotRun } from "./proof.ts";
import { Report } from "./report.ts";

function stop(why: string): never {
  console.error(why);
  process.exit(2);
}

function usage(): string {
  const lines = PROOFS.flatMap(({ name, title, options }) => [
    `  ${name}: ${title}`,
    ...Object.entries(options).map(([option, { what, full }]) => `    --${option} ${full}  ${what}`),
  ]);
  return ["bun run prove <name> [--quick] [--server <command>] [--beside <command>] [options]", ...lines].join("\n");
}

const [name, ...args] = process.argv.slice(2);
const proof = PROOFS.find((one) => one.name === name);
if (proof === undefined) stop(usage());
const numbers = Object.keys(proof.options);

function read(): Record<string, unknown> {
  const strings = Object.fromEntries([...numbers, "server", "beside"].map((key) => [key, { type: "string" as const }]));
  try {
    return parseArgs({ args, options: { ...strings, quick: { type: "boolean" } } }).values;
  } catch (error) {
    return stop(`${error instanceof Error ? error.message : String(error)}\n${usage()}`);
  }
}

const given = read();
const quick = given["quick"] === true;
const values = Object.fromEntries(
  Object.entries(proof.options).map(([key, option]) => {
    const value = given[key] === undefined ? option[quick ? "quick" : "full"] : Number(given[key]);
    if (!(value >= 0)) stop(`--${key} takes a number: ${option.what}`);
    return [key, value];
  }),
);
if (typeof given["server"] === "string") measure(given["server"]);
if (typeof given["beside"] === "string") mixWith(given["beside"]);
if (process.platform !== "linux") stop("The proofs need Linux: they read /proc.");
for (const name of proof.needs ?? [])
  if (find(name) === null)
    stop(`It could not run: there is no ${name}. On Debian: apt-get install ${PROGRAMS[name].packages.join(" ")}`);
if (!build()) stop("There is no C compiler `cc`. On Debian: apt-get install gcc libc6-dev");

const report = new Report();
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interrupted = true;
    report.fail(signal);
  });
}
const limitS = proof.limitS(values);
const limit = setTimeout(() => report.fail(`not at its end after ${limitS} s`), limitS * 1000);
const began = performance.now();
let status = 0;
console.error(`${proof.name}: ${proof.title}`);
try {
  await Promise.race([proof.prove(report, values), report.failed]);
  if (!report.held) status = 1;
} catch (error) {
  status = error instanceof CouldNotRun ? 2 : 1;
  if (!interrupted) console.error(error instanceof CouldNotRun ? `It could not run: ${error.message}` : error);
}
clearTimeout(limit);
await endAll();
if (interrupted) process.exit(130);

const settings = Object.entries(values).map(([key, value]) => `--${key} ${value}`);
const seconds = Math.round((performance.now() - began) / 1000);
console.log(`\n${report.toString()}\n`);
console.log(`${proof.name} ${settings.join(" ")}: ${["held", "BROKEN", "could not run"][status]}, in ${seconds} s`);
console.log(`${cpus()[0]?.model ?? "unknown CPU"}, ${cpus().length} cores, Bun ${Bun.version}`);
process.exit(status);
