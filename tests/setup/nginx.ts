import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./gateway.ts";

export interface Nginx extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
}

export interface NginxOptions {
  /** Files that the configuration names as `FOLDER/<name>`. */
  readonly files?: Readonly<Record<string, string>>;
  readonly scheme?: "http" | "https";
}

const TEMP_PATHS = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
const POLL_MS = 10;

/** A real nginx, as a process of its own with nothing of the system's: `http` is what stands in that block. */
export async function startNginx(
  program: string,
  http: (port: number) => string,
  { files = {}, scheme = "http" }: NginxOptions = {},
): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), "service-socket-nginx-"));
  const port = freePort();
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const user = process.getuid?.() === 0 ? "user root;" : "";
  const paths = TEMP_PATHS.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
  await writeFile(
    join(folder, "nginx.conf"),
    `daemon off; ${user} worker_processes 1; pid ${folder}/pid; error_log stderr crit;
events { worker_connections 256; }
http { access_log off; ${paths}
${http(port).replaceAll("FOLDER", folder)}
}`,
  );
  const child = Bun.spawn([program, "-p", folder, "-c", join(folder, "nginx.conf")], { stderr: "inherit" });
  const end = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  };
  while (!(await takesConnections(port))) {
    if (child.exitCode !== null) {
      await end();
      throw new Error("nginx did not start.");
    }
    await Bun.sleep(POLL_MS);
  }
  return { port, url: `${scheme}://localhost:${port}`, [Symbol.asyncDispose]: end };
}

async function takesConnections(port: number): Promise<boolean> {
  try {
    (await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })).end();
    return true;
  } catch {
    return false;
  }
}
