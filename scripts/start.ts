/**
 * `bun start`: installs what is missing, then becomes the server.
 *
 * It becomes the server rather than its parent, so that a signal reaches the server and its exit code is the one seen.
 * Windows cannot replace a process: there it takes WSL, or `bun src/main.ts`.
 */
import { install, ROOT } from "./install.ts";

install("production");
const argv = ["bun", "--preload", "./scripts/npx.ts", "src/main.ts", ...process.argv.slice(2)];
process.chdir(ROOT);
process.execve!(process.execPath, argv, process.env);
