import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Gateway } from "./gateway.ts";

const EXAMPLES = join(import.meta.dir, "..", "..", "examples");
const STARTS_WITHIN_MS = 10_000;

/** A proxy of the examples in front of a gateway, as a process of its own; it ends with `await using`. */
export interface Front extends AsyncDisposable {
  readonly url: string;
  /** All that it has written to its logs. */
  logs(): Promise<string>;
}

/** nginx with the lines of `examples/nginx/nginx.conf`, on another port and with another folder. */
export async function startNginx(nginx: string, gateway: Gateway): Promise<Front> {
  const [folder, port] = [await mkdtemp(join(tmpdir(), "service-socket-nginx-")), freePort()];
  const site = replaced(await readFile(join(EXAMPLES, "nginx", "nginx.conf"), "utf8"), [
    ["server 127.0.0.1:3000;", `server 127.0.0.1:${gateway.port};`],
    ["listen 80;", `listen 127.0.0.1:${port};`],
    ["/var/log/nginx/events.log", join(folder, "access.log")],
    ["/var/log/nginx/events-error.log", join(folder, "error.log")],
  ]);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => {
    return `${name}_temp_path ${folder}/${name};`;
  });
  // One process: workers outlive a master that is killed.
  const config = `daemon off; master_process off; ${process.getuid?.() === 0 ? "user root;" : ""} pid ${folder}/pid;
error_log ${folder}/error.log crit;
events { worker_connections 256; }
http { access_log off; ${temporary.join(" ")}
${site}}`;
  await writeFile(join(folder, "nginx.conf"), config);
  const command = [nginx, "-p", folder, "-e", join(folder, "error.log"), "-c", join(folder, "nginx.conf")];
  return await start(command, folder, port, ["access.log", "error.log"]);
}

/** Caddy with the lines of `examples/caddy/Caddyfile`, without TLS and with another folder. */
export async function startCaddy(caddy: string, gateway: Gateway): Promise<Front> {
  const [folder, port] = [await mkdtemp(join(tmpdir(), "service-socket-caddy-")), freePort()];
  const config = replaced(await readFile(join(EXAMPLES, "caddy", "Caddyfile"), "utf8"), [
    ["127.0.0.1:3000", `127.0.0.1:${gateway.port}`],
    ["events.example.com {", `http://127.0.0.1:${port} {`],
    ["{\n", "{\n\tadmin off\n"], // its port would be that of every other Caddy
  ]);
  await writeFile(join(folder, "Caddyfile"), config);
  await mkdir(join(folder, "home"));
  return await start([caddy, "run", "--config", join(folder, "Caddyfile")], folder, port, []);
}

/** Every text is there once at least, so that no line of an example is run otherwise than it stands. */
function replaced(text: string, changes: readonly (readonly [from: string, to: string])[]): string {
  let changed = text;
  for (const [from, to] of changes) {
    if (!changed.includes(from)) throw new Error(`The example has no "${from}".`);
    changed = changed.replace(from, to);
  }
  return changed;
}

async function start(
  command: readonly string[],
  folder: string,
  port: number,
  logs: readonly string[],
): Promise<Front> {
  const output = join(folder, "output.log");
  const file = Bun.file(output);
  const home = join(folder, "home");
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: file,
    stderr: file,
    env: { PATH: process.env["PATH"], HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home },
  });
  const front: Front = {
    url: `http://127.0.0.1:${port}`,
    logs: async () => {
      const texts = [output, ...logs.map((name) => join(folder, name))].map((path) => readFile(path, "utf8"));
      return (await Promise.all(texts)).join("");
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
  const deadline = performance.now() + STARTS_WITHIN_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      const said = await readFile(output, "utf8");
      await front[Symbol.asyncDispose]();
      throw new Error(`${command[0]} did not start:\n${said}`);
    }
    await Bun.sleep(10);
  }
  return front;
}

async function isListening(port: number): Promise<boolean> {
  try {
    (await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })).end();
    return true;
  } catch {
    return false;
  }
}
