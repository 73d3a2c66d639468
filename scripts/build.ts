/**
 * `bun run build [--target bun-linux-x64] [--outfile dist/service-socket]`: the server with Bun in one file, which needs
 * nothing else on the machine that it runs on.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { install, ROOT } from "./install.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    outfile: { type: "string", default: join(ROOT, "dist", "service-socket") },
  },
});

install("production");
await Bun.build({
  // A thread has to be named here: what starts it names a file and no module.
  entrypoints: [join(ROOT, "src", "main.ts"), join(ROOT, "src", "broker", "checkpoint-thread.ts")],
  minify: { whitespace: true, syntax: true }, // names stay, for what the log says of an error
  sourcemap: "inline",
  compile: {
    outfile: values.outfile,
    // Settings come from where the server is told to look: not from a file that happens to lie in the working folder.
    autoloadDotenv: false,
    autoloadBunfig: false,
    ...(values.target !== undefined && { target: values.target as Bun.Build.CompileTarget }),
  },
});
console.log(values.outfile);
