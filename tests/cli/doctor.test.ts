import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../setup/command.ts";
import { freePort, type Gateway, startGateway, subscribe } from "../setup/gateway.ts";
import { type Nginx, startNginx } from "../setup/nginx.ts";
import { program } from "../setup/programs.ts";
import { certificate } from "../setup/tls.ts";

const nginx = program("nginx");
const openssl = program("openssl");

setDefaultTimeout(60_000);

let gateway: Gateway;
/** A gateway takes eight probes at a time, so what is looked at behind nginx has one of its own. */
let hidden: Gateway;
beforeAll(async () => {
  const settings = { SOCKET_BROKER: "memory:" };
  [gateway, hidden] = await Promise.all([startGateway({ settings }), startGateway({ settings })]);
});
afterAll(async () => {
  for (const one of [gateway, hidden]) await one[Symbol.asyncDispose]();
});

interface Finding {
  readonly level: string;
  readonly says: string;
  readonly fix: readonly string[];
}

interface Diagnosis {
  readonly code: number;
  readonly verdict: string;
  readonly http_version: string | null;
  readonly buffered_ms: number | null;
  readonly cut_after_ms: number | null;
  readonly compression: string | null;
  /** By what they are about. */
  readonly found: Readonly<Record<string, Finding>>;
  /** About what there was a problem. */
  readonly problems: readonly string[];
}

async function doctor(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Diagnosis> {
  const { code, out, err } = await run(["doctor", ...args, "--json"], { env });
  if (out === "") throw new Error(err);
  const { findings, ...rest } = JSON.parse(out) as Diagnosis & { findings: (Finding & { about: string })[] };
  const found = Object.fromEntries(findings.map(({ about, ...finding }) => [about, finding]));
  return { ...rest, code, found, problems: Object.keys(found).filter((about) => found[about]!.level === "problem") };
}

/** nginx that passes on to the gateway with these lines in its location. */
function inFront(lines: string, target = hidden.port): Promise<Nginx> {
  return startNginx(
    nginx!,
    (port) => `
gzip_types text/event-stream; gzip_min_length 0;
server {
  listen 127.0.0.1:${port};
  location / { proxy_pass http://127.0.0.1:${target}; proxy_set_header Host $http_host; ${lines} }
}`,
  );
}

/** nginx with the lines of the example, whose logs are the test's own. */
function asTheExampleSays(target: number, listen = ""): (port: number) => string {
  const file = join(import.meta.dir, "..", "..", "examples", "nginx", "nginx.conf");
  const lines = readFileSync(file, "utf8").replaceAll(/^ *(access_log|error_log) .*$/gm, "");
  return (port) =>
    lines
      .replace("server 127.0.0.1:3000;", `server 127.0.0.1:${target};`)
      .replace("listen 80;", `listen 127.0.0.1:${port} ${listen};`);
}

describe.concurrent("service-socket doctor", () => {
  test("finds nothing wrong with a gateway that is reached directly", async () => {
    const diagnosis = await doctor([gateway.url, "--for", "1s", "--origin", "https://app.example"]);
    expect(diagnosis).toMatchObject({ code: 0, verdict: "ok", http_version: "1.1", cut_after_ms: null, problems: [] });
    expect(diagnosis.buffered_ms).toBeLessThan(1000);
    expect(diagnosis.found).toMatchObject({
      buffering: { level: expect.stringMatching(/^(ok|note)$/) }, // on a busy machine some come late
      cut: { level: "ok" },
      compression: { level: "ok" },
      cors: { level: "ok" },
      http: { level: "note" },
    });
  });

  test("tells a line for each thing that it looked at, with the lines to write under what is wrong", async () => {
    const { code, out, err } = await run(["doctor", gateway.url, "--for", "1s"]);
    expect([code, err]).toEqual([0, `looking at ${gateway.url}/stream for 1 s …\n`]);
    expect(out).toMatch(/^ok {7}a stream is answered: the first event came after \d+\.\d+ s$/m);
    expect(out).toMatch(/^note {5}HTTP\/1\.1: .*\n {13}listen 443 ssl;$/m);
    expect(out).toMatch(/^(ok {7}not buffered: events came at most|note {5}events came up to) \d\.\d+ s/m);
    expect(out).not.toContain("CORS");
  });

  test("of a stream's address it opens the stream too, and shows its token nowhere", async () => {
    const { url, token } = await subscribe(gateway, "news");
    const good = await doctor([url, "--for", "1s"]);
    expect(good).toMatchObject({ code: 0, found: { stream: { level: "ok" } } });
    const bad = await doctor([`${url}x`, "--for", "1s"]);
    expect(bad).toMatchObject({ code: 1, problems: ["stream"] });
    expect(bad.found["stream"]!.says).toBe(
      "the stream of this address is answered 401: The token is not signed by a known key.",
    );
    expect(JSON.stringify([good, bad])).not.toContain(token);
  });

  test("asks in the page's name, and tells whether its EventSource could read the stream", async () => {
    await using strict = await startGateway({
      settings: {
        SOCKET_BROKER: "memory:",
        SOCKET_CORS_ORIGINS: "https://app.example",
        SOCKET_COOKIE_ORIGINS: "https://site.example",
      },
    });
    const [other, listed, site] = await Promise.all(
      ["https://other.example", "https://app.example", "https://site.example"].map((origin) =>
        doctor([strict.url, "--for", "1s", "--origin", origin]),
      ),
    );
    expect(other).toMatchObject({ code: 1, problems: ["cors"] });
    expect(other!.found["cors"]!.fix).toEqual(["SOCKET_CORS_ORIGINS=https://other.example"]);
    expect([listed!.code, listed!.found["cors"]!.says]).toEqual([
      0,
      "CORS: pages of https://app.example can read streams, but not with { withCredentials: true }",
    ]);
    expect([site!.code, site!.found["cors"]!.says]).toEqual([
      0,
      "CORS: pages of https://site.example can read streams, also with { withCredentials: true }",
    ]);
  });

  test("could not look where nothing answers, or no gateway", async () => {
    const port = freePort();
    const nobody = await run(["doctor", `http://127.0.0.1:${port}`]);
    expect([nobody.code, nobody.out]).toEqual([2, ""]);
    expect(nobody.err).toContain(`http://127.0.0.1:${port} does not answer`);

    await using other = Object.assign(
      Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("a page", { status: 404 }) }),
      { [Symbol.asyncDispose]: () => other.stop(true) },
    );
    const diagnosis = await doctor([`http://127.0.0.1:${other.port}`]);
    expect(diagnosis).toMatchObject({ code: 2, verdict: "unknown", buffered_ms: null, found: { reach: {} } });
  });

  test("could not look where the gateway's probes are at their limit", async () => {
    const busy = await startGateway({ settings: { SOCKET_BROKER: "memory:", SOCKET_MAX_STREAMS: "1" } });
    await using _ = busy;
    const stream = await fetch(`${busy.url}/channel/news/stream`, { headers: { Authorization: `key=${busy.secret}` } });
    const diagnosis = await doctor([busy.url, "--for", "1s"]);
    await stream.body!.cancel();
    expect(diagnosis).toMatchObject({ code: 2, verdict: "unknown" });
    expect(diagnosis.found["reach"]!.says).toContain("(limit)");
  });

  if (nginx === null) return;

  test("finds nothing wrong behind nginx as the example sets it", async () => {
    await using front = await startNginx(nginx, asTheExampleSays(hidden.port));
    await using trusting = await startGateway({
      settings: { SOCKET_BROKER: "memory:", SOCKET_TRUSTED_PROXIES: "127.0.0.1" },
    });
    await using trusted = await startNginx(nginx, asTheExampleSays(trusting.port));
    for (const { url } of [front, trusted]) {
      const diagnosis = await doctor([url, "--for", "2s", "--origin", "https://app.example"]);
      expect(diagnosis).toMatchObject({ code: 0, verdict: "ok", compression: null, cut_after_ms: null });
      expect(diagnosis.buffered_ms).toBeLessThan(1000);
      expect(diagnosis.found["missing_gateway"]!.says).toContain("nginx");
    }
  });

  test("finds an nginx that buffers, and by how long", async () => {
    await using front = await inFront("proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;");
    const diagnosis = await doctor([front.url, "--for", "3s"]);
    expect(diagnosis).toMatchObject({ code: 1, verdict: "problem", problems: ["buffering"] });
    expect(diagnosis.buffered_ms).toBeGreaterThan(1500);
    expect(diagnosis.buffered_ms).toBeLessThan(10_000);
    const { says, fix } = diagnosis.found["buffering"]!;
    expect(says).toContain("all at once when the stream ended");
    expect(fix).toContain("proxy_buffering off;");
  });

  test("finds an nginx that compresses, and whether that buffers", async () => {
    await using flushing = await inFront("gzip on; proxy_http_version 1.1;");
    await using holding = await inFront("gzip on; proxy_http_version 1.1; proxy_ignore_headers X-Accel-Buffering;");
    const [one, other] = await Promise.all([flushing, holding].map(({ url }) => doctor([url, "--for", "3s"])));
    expect(one).toMatchObject({ code: 1, compression: "gzip", problems: ["compression"] });
    expect(one!.found["compression"]!.fix).toEqual(["gzip off; # in the location of streams"]);
    expect(other).toMatchObject({ code: 1, compression: "gzip", problems: ["buffering", "compression"] });
    expect(other!.buffered_ms).toBeGreaterThan(1500);
  });

  test("finds an nginx that cuts a quiet stream, and after how long", async () => {
    await using front = await inFront("proxy_read_timeout 2s;");
    const diagnosis = await doctor([front.url, "--for", "20s"]);
    expect(diagnosis).toMatchObject({ code: 1, problems: ["cut"] });
    expect(diagnosis.cut_after_ms).toBeGreaterThan(4000);
    expect(diagnosis.cut_after_ms).toBeLessThan(15_000);
    expect(diagnosis.found["cut"]!.says).toMatch(/^cut after \d+(\.\d)? s, when nothing had been sent for \d\.\d s$/);
    expect(diagnosis.found["cut"]!.fix[0]).toBe("proxy_read_timeout 60s; # more than SOCKET_HEARTBEAT, 15 s");
  });

  test("finds an nginx that adds a CORS header of its own, and that it tells the gateway another address", async () => {
    const hides = "proxy_set_header Host inner.example; add_header Access-Control-Allow-Origin *;";
    await using front = await startNginx(
      nginx,
      (port) =>
        `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${hidden.port}; ${hides} } }`,
    );
    const diagnosis = await doctor([front.url, "--for", "1s", "--origin", "https://app.example"]);
    expect(diagnosis).toMatchObject({ code: 1, problems: ["cors", "address"] });
    expect(diagnosis.found["cors"]!.says).toContain("more than once (*, *)");
    expect(diagnosis.found["address"]!.fix[0]).toBe(`SOCKET_PUBLIC_URL=${front.url}`);
    expect(JSON.stringify(diagnosis)).not.toContain("inner.example");
  });

  test("finds what a missing gateway does to an EventSource", async () => {
    await using bare = await inFront("", freePort());
    await using careful = await startNginx(nginx, asTheExampleSays(freePort()));
    const [ends, waits] = await Promise.all([bare, careful].map(({ url }) => doctor([url, "--for", "1s"])));
    expect(ends).toMatchObject({ code: 1, problems: ["missing_gateway"] });
    expect(ends!.found["missing_gateway"]!.fix[0]).toStartWith("error_page 502 503 504 =200 @later;");
    expect(waits).toMatchObject({ code: 2, problems: [] });
    expect(waits!.found["missing_gateway"]!.says).toContain("as it should");
  });

  if (openssl === null) return;

  test("tells HTTP/2 where TLS chooses it", async () => {
    const { key, cert } = await certificate(openssl);
    const tls = "ssl http2; ssl_certificate FOLDER/cert.pem; ssl_certificate_key FOLDER/key.pem";
    await using front = await startNginx(nginx, asTheExampleSays(hidden.port, tls), {
      files: { "cert.pem": cert, "key.pem": key },
      scheme: "https",
    });
    const refused = await run(["doctor", front.url, "--for", "1s"]);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("SELF_SIGNED")]);
    const diagnosis = await doctor([front.url, "--for", "1s"], { NODE_EXTRA_CA_CERTS: await caFile(cert) });
    expect(diagnosis).toMatchObject({ http_version: "2", found: { http: { level: "ok" } } });
    // The gateway is told another scheme than the one that is asked for.
    expect(diagnosis.problems).toEqual(["address"]);
  });
});

async function caFile(cert: string): Promise<string> {
  const file = join(gateway.folder, "ca.pem");
  await Bun.write(file, cert);
  return file;
}
