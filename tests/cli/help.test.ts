import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EXIT } from "../../src/cli/exit.ts";
import { read } from "../docs/markdown.ts";
import { run } from "../setup/command.ts";

setDefaultTimeout(60_000);

const COMMANDS = ["serve", "send", "listen", "token", "doctor"];

describe("help", () => {
  test("of the program names every command, and what each exit code says", async () => {
    const { code, out, err } = await run(["--help"]);
    expect([code, err]).toEqual([0, ""]);
    for (const name of COMMANDS) expect(out).toContain(`service-socket ${name} `);
    for (const exit of Object.values(EXIT)) expect(out).toMatch(new RegExp(`^ {2}${exit} +\\w`, "m"));
    for (const how of [["-h"], ["help"]]) expect((await run(how)).out).toBe(out);
  });

  test.each(COMMANDS)("of %s teaches its options and exit codes, with an example", async (name) => {
    const { code, out, err } = await run([name, "--help"]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(new RegExp(`^ {2}service-socket ${name} \\S`, "m"));
    expect(out).toContain("Exit codes:");
    for (const line of out.split("\n")) if (name !== "serve") expect(line.length).toBeLessThanOrEqual(120);
    expect((await run(["help", name])).out).toBe(out);
  });

  test("every option that a command takes is in its help, and one that it does not take is named", async () => {
    for (const name of ["send", "listen", "token", "doctor"]) {
      const source = read(`src/cli/${name}.ts`);
      const options = [.../const OPTIONS = \{([^]*?)\n\} as const/.exec(source)![1]!.matchAll(/^ {2}"?([\w-]+)"?:/gm)];
      expect(options.length).toBeGreaterThan(2);
      const { out } = await run([name, "--help"]);
      for (const [, option] of options) expect([name, out]).toEqual([name, expect.stringContaining(`  --${option} `)]);
      const { code, err } = await run([name, "x", "--no-such"]);
      expect([code, err]).toEqual([64, expect.stringMatching(/--no-such.*\. See `service-socket \w+ --help`\.\n$/)]);
    }
  });

  test("a command that there is not ends with 64 and names those that there are", async () => {
    for (const name of ["publish", "constructor", "__proto__"]) {
      const { code, err } = await run([name]);
      expect([code, err]).toEqual([64, `service-socket: ${name} is no command; there are ${COMMANDS.join(", ")}\n`]);
    }
  });

  test("the README's table of exit codes is that of the program", async () => {
    const readme = read("README.md");
    for (const exit of Object.values(EXIT)) expect(readme).toMatch(new RegExp(`^\\| \`${exit}\` \\| \\S`, "m"));
  });
});
