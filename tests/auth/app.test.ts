import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openApps } from "../../src/auth/open-apps.ts";
import { loadOrMakeSecret } from "../../src/auth/secret.ts";
import { ConfigError, loadConfig } from "../../src/config.ts";
import { BLOG, SHOP, SHOP_OLD, twoApps } from "./apps.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "service-socket-auth-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const appsOf = (...apps: Record<string, unknown>[]) =>
  loadConfig({ env: { SOCKET_CONFIG: "c.json" }, readFile: () => JSON.stringify({ apps }) }).apps;

async function refusal(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("was taken");
}

describe("the apps of a node", () => {
  test("are found by each of their secrets and by their id", async () => {
    const apps = twoApps();
    expect(apps.bySecret(SHOP)?.app.id).toBe("shop");
    expect(apps.bySecret(SHOP_OLD)?.app.id).toBe("shop");
    expect(apps.bySecret(BLOG)?.app.id).toBe("blog");
    expect(apps.byId("blog")?.id).toBe("blog");
    expect([...apps].map((app) => app.id)).toEqual(["shop", "blog"]);
  });

  test("are not found by a part of a secret, its digest, or a name of an object's prototype", async () => {
    const apps = twoApps();
    for (const guess of ["", SHOP.slice(1), `${SHOP} `, Bun.SHA256.hash(SHOP, "base64"), "__proto__", "constructor"]) {
      expect(apps.bySecret(guess)).toBeNull();
      expect(apps.byId(guess)).toBeNull();
    }
  });

  test("a single one is the only one, and of two neither is", async () => {
    const { apps } = openApps(loadConfig({ env: { APP_SECRET: SHOP } }).apps);
    expect(apps.only?.id).toBe("default");
    expect(twoApps().only).toBeNull();
  });

  test("hold no secret that a log could show", async () => {
    const apps = twoApps();
    expect(Bun.inspect(apps, { depth: 10 }) + JSON.stringify([...apps])).not.toContain(SHOP.slice(0, 12));
  });

  test("two with the same secret are refused by name, and the secret is not shown", async () => {
    const line = await refusal(() =>
      openApps(appsOf({ id: "a", secrets: [SHOP, BLOG] }, { id: "b", secrets: [BLOG] })),
    );
    expect(line).toBe("apps[1].secrets in c.json: apps a and b have the same secret; each takes its own");
  });

  test("two whose secret files hold the same secret are refused as well", async () => {
    const files = ["a", "b"].map((name) => join(folder, name));
    for (const file of files) writeFileSync(file, SHOP, { mode: 0o600 });
    const line = await refusal(() =>
      openApps(appsOf(...files.map((file, i) => ({ id: `app${i}`, secret_file: file })))),
    );
    expect(line).toBe(`${files[1]}: apps app0 and app1 have the same secret; each takes its own`);
  });
});

describe("a secret file", () => {
  test("is made on first start, for its owner only, and read on the next", async () => {
    const settings = loadConfig({ env: { SOCKET_DATA: join(folder, "new", "data") } }).apps;
    const path = join(folder, "new", "data", "secret");
    const first = openApps(settings);
    expect(first).toMatchObject({ made: [path], warnings: [] });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "new", "data")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, "new", "data"))).toEqual(["secret"]);
    const secret = readFileSync(path, "utf8");
    expect(secret).toMatch(/^[\w-]{43}\n$/);
    const second = openApps(settings);
    expect(second).toMatchObject({ made: [], warnings: [] });
    expect(second.apps.bySecret(secret.trim())?.app.id).toBe("default");
  });

  test("is not made where other nodes take the same, but read", async () => {
    const path = join(folder, "secret");
    const settings = loadConfig({ env: { SOCKET_SECRET_FILE: path } }).apps;
    expect(await refusal(() => openApps(settings, { make: false }))).toContain("there is no such file");
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(path, SHOP, { mode: 0o600 });
    expect(openApps(settings, { make: false }).apps.bySecret(SHOP)?.app.id).toBe("default");
  });

  test("holds another secret in another folder", () => {
    const [a, b] = ["a", "b"].map((name) => loadOrMakeSecret(join(folder, name)).text);
    expect(a).not.toBe(b);
  });

  test("is made once by processes that start together", async () => {
    const path = join(folder, "data", "secret");
    const program = `
      const { loadOrMakeSecret } = await import(${JSON.stringify(join(import.meta.dir, "../../src/auth/secret.ts"))});
      process.stdout.write("ready");
      await new Response(Bun.stdin.stream()).text();
      const { text, made } = loadOrMakeSecret(${JSON.stringify(path)});
      process.stdout.write(JSON.stringify({ text, made }));`;
    const starts = Array.from({ length: 4 }, () =>
      Bun.spawn([process.execPath, "-e", program], { stdin: "pipe", stdout: "pipe", stderr: "inherit" }),
    );
    try {
      const outputs = starts.map((start) => start.stdout.getReader());
      for (const output of outputs) expect(new TextDecoder().decode((await output.read()).value)).toBe("ready");
      for (const start of starts) await start.stdin.end();
      const answers: { text: string; made: boolean }[] = [];
      for (const output of outputs) {
        let text = "";
        for (let part = await output.read(); !part.done; part = await output.read())
          text += new TextDecoder().decode(part.value);
        answers.push(JSON.parse(text) as { text: string; made: boolean });
      }
      expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
      expect(answers.filter((answer) => answer.made)).toHaveLength(1);
      expect(readdirSync(join(folder, "data"))).toEqual(["secret"]);
    } finally {
      for (const start of starts) start.kill();
    }
  });

  test("may hold several secrets parted by commas, and one line end", async () => {
    const path = join(folder, "secret");
    writeFileSync(path, `${SHOP},${BLOG}\r\n`, { mode: 0o600 });
    const { apps } = openApps(loadConfig({ env: { SOCKET_SECRET_FILE: path } }).apps);
    expect(apps.only?.keys).toHaveLength(2);
    expect(apps.bySecret(BLOG)?.app.id).toBe("default");
  });

  test("that others can read is told, and used all the same", async () => {
    const path = join(folder, "secret");
    writeFileSync(path, SHOP);
    chmodSync(path, 0o644);
    const { warnings, apps } = openApps(loadConfig({ env: { SOCKET_SECRET_FILE: path } }).apps);
    expect(warnings).toEqual([`${path} has mode 0644, so that others can read the secret; chmod 600 closes it`]);
    expect(apps.bySecret(SHOP)).not.toBeNull();
  });

  test.each(["", "\n", "short", `${SHOP}\n${BLOG}\n`])("that holds %p stops the start", async (text) => {
    const path = join(folder, "secret");
    writeFileSync(path, text, { mode: 0o600 });
    const line = await refusal(() => openApps(loadConfig({ env: { SOCKET_SECRET_FILE: path } }).apps));
    expect(line).toBe(`${path}: takes secrets of 32 to 512 printable ASCII characters without space and comma`);
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  test("that is a folder, or lies under a file, stops the start", async () => {
    mkdirSync(join(folder, "secret"));
    writeFileSync(join(folder, "file"), "");
    for (const path of [join(folder, "secret"), join(folder, "file", "secret")]) {
      expect(await refusal(() => loadOrMakeSecret(path))).toMatch(/: the secret file can be neither read nor made \(E/);
    }
  });
});
