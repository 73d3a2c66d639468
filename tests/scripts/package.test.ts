import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../package.json";

const ROOT = join(import.meta.dir, "..", "..");

/** A project of somebody else, in which the packed package and what it depends on are installed. */
let project: string;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "service-socket-package-"));
  const modules = join(project, "node_modules");
  await mkdir(join(modules, "service-socket"), { recursive: true });
  run(ROOT, process.execPath, "pm", "pack", "--quiet", "--destination", project);
  const tarball = (await readdir(project)).find((name) => name.endsWith(".tgz"));
  run(project, "tar", "-xzf", tarball!, "--strip-components=1", "-C", join(modules, "service-socket"));
  // As an installation leaves them, but without asking a registry.
  for (const name of await readdir(join(ROOT, "node_modules"))) {
    if (!name.startsWith(".")) await symlink(join(ROOT, "node_modules", name), join(modules, name));
  }
  await writeFile(join(project, "package.json"), '{ "type": "module" }');
}, 60_000);

afterAll(() => rm(project, { recursive: true, force: true }));

/** What it wrote to its output; throws when it failed. */
function run(cwd: string, ...command: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { cwd });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}:\n${stdout.toString()}${stderr.toString()}`);
  return stdout.toString();
}

describe("the package", () => {
  test("brings its command", () => {
    const bin = join(project, "node_modules", "service-socket", packageJson.bin["service-socket"]);
    expect(run(project, process.execPath, bin, "--version")).toBe(`${packageJson.version}\n`);
  });

  test("starts a gateway inside another program", async () => {
    await writeFile(
      join(project, "program.js"),
      `import { createServer } from "service-socket";
       const argv = ["--port", "0", "--host", "127.0.0.1", "--broker", "memory:", "--drain", "0"];
       const server = await createServer({ argv });
       console.log((await fetch(server.url + "/readyz")).status);
       await server.stop();`,
    );
    expect(run(project, process.execPath, "program.js")).toBe("200\n");
  });

  test("brings types that hold under another project's strictest settings", async () => {
    await writeFile(
      join(project, "program.ts"),
      `import { ConfigError, createServer, type RunningServer } from "service-socket";
       const server: RunningServer = await createServer({ env: { PORT: "0" } }).catch((error: unknown) => {
         throw error instanceof ConfigError ? new Error(error.message) : error;
       });
       export const port: number = server.port;`,
    );
    const strict = { strict: true, noUnusedLocals: true, exactOptionalPropertyTypes: true, skipLibCheck: true };
    const compilerOptions = { ...strict, module: "Preserve", target: "ESNext", noEmit: true, types: [] };
    await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
    run(project, join(ROOT, "node_modules", ".bin", "tsc"), "-p", ".");

    await writeFile(join(project, "program.ts"), `import { createServer } from "service-socket"; createServer(1);`);
    expect(() => run(project, join(ROOT, "node_modules", ".bin", "tsc"), "-p", ".")).toThrow("TS2559");
  });

  test("holds no tests, and nothing that was made here but its types", async () => {
    const held = await readdir(join(project, "node_modules", "service-socket"));
    expect(held).toContain("src");
    expect(held).toContain("README.md");
    expect(held).toContain("LICENSE");
    expect(held).not.toContain("tests");
    expect(await readdir(join(project, "node_modules", "service-socket", "dist"))).toEqual(["types"]);
  });
});
