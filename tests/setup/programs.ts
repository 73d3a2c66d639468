/**
 * Programs of the system that some tests need. `bun run test` sees to it that they are there, where it can; bare `bun
 * test` leaves their tests out, because it is to pass in seconds on any machine.
 *
 * A test file asks for its program and registers its tests only when it got a path:
 *
 *     const chromium = program("chromium");
 *     if (chromium !== null) describe("…", () => …);
 */
export const PROGRAMS = {
  chromium: {
    packages: ["chromium"],
    commands: ["chromium", "chromium-browser", "google-chrome"],
    tests: "in a browser",
  },
  cc: { packages: ["gcc", "libc6-dev"], commands: ["cc"], tests: "of the proofs in bench/" },
  nginx: { packages: ["nginx-light"], commands: ["nginx"], tests: "of what is behind nginx" },
  "redis-server": { packages: ["redis-server"], commands: ["redis-server", "valkey-server"], tests: "over Redis" },
  openssl: { packages: ["openssl"], commands: ["openssl"], tests: "over TLS" },
  caddy: { packages: ["caddy"], commands: ["caddy"], tests: "of what is behind Caddy" },
  ruby: { packages: ["ruby"], commands: ["ruby"], tests: "of snippets and examples in Ruby" },
  python: { packages: ["python3"], commands: ["python3"], tests: "of snippets and examples in Python" },
} as const satisfies Record<string, { packages: readonly string[]; commands: readonly string[]; tests: string }>;

export type ProgramName = keyof typeof PROGRAMS;

/** Set by `bun run test`: run the tests that need programs as well. */
export const ASKED = "TEST_PROGRAMS";

const leftOut = new Map<string, string>();

/** Where the program is, or null: it is missing, or the run does not ask for it. Null is told at the end of the run. */
export function program(name: ProgramName): string | null {
  const path = process.env[ASKED] === undefined ? null : find(name);
  if (path === null) leftOut.set(name, why(name));
  return path;
}

/** Notes what this machine cannot do, whose tests are left out: told in one line at the end of the run. */
export function leaveOut(tests: string, because: string): void {
  leftOut.set(tests, `Left out: tests ${tests}, because ${because}.`);
}

export function find(name: ProgramName): string | null {
  for (const command of PROGRAMS[name].commands) {
    const path = Bun.which(command);
    if (path !== null) return path;
  }
  return null;
}

/** One line for each kind of tests that were left out. */
export function leftOutLines(): readonly string[] {
  return [...leftOut.values()];
}

function why(name: ProgramName): string {
  const { tests, packages } = PROGRAMS[name];
  const left = `Left out: tests ${tests}, which need ${name}.`;
  if (process.env[ASKED] === undefined) return `${left} \`bun run test\` runs them.`;
  return `${left} It is not there: install it (on Debian: apt-get install ${packages.join(" ")}), then \`bun run test\` runs them.`;
}
