import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { end, folder, freePort, ready, start } from "../process.ts";
import type { Gateway } from "./gateway.ts";

/** What listeners and publishers see of the gateway. */
export interface Front {
  readonly name: string;
  readonly port: number;
  end(): Promise<void>;
}

export async function straight(gateway: Gateway): Promise<Front> {
  return { name: "straight", port: gateway.port, end: async () => undefined };
}

const SITE = join(import.meta.dir, "..", "..", "examples", "nginx", "nginx.conf");

/** nginx with the lines of the example, on other ports. */
export async function nginx(gateway: Gateway): Promise<Front> {
  const port = freePort();
  const temp = folder();
  const site = readFileSync(SITE, "utf8")
    .replace("server 127.0.0.1:3000;", `server 127.0.0.1:${gateway.port};`)
    .replace("listen 80;", `listen 127.0.0.1:${port};`)
    .replaceAll("/var/log/nginx/", `${temp}/`);
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${temp}/${name};`,
  );
  const user = process.getuid?.() === 0 ? "user root;" : "";
  const config = `daemon off; ${user} pid ${temp}/pid; error_log ${temp}/error.log crit;
events { worker_connections 1024; }
http { access_log off; ${paths.join(" ")}
${site}}`;
  writeFileSync(join(temp, "nginx.conf"), config);
  const child = start(["nginx", "-p", temp, "-c", join(temp, "nginx.conf")], {}, join(temp, "log"));
  await ready(child, `http://127.0.0.1:${port}/readyz`, join(temp, "log"));
  return { name: "nginx in front", port, end: () => end(child) };
}
