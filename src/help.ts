import { describeSettings } from "./config.ts";

/** What `--help` shows: how to start, and every setting by its flag, its variable and its default. */
export function help(): string {
  const settings = describeSettings().map(({ flag, env, description, takes, default: value }) => {
    const names = flag === null ? env : `${flag}, ${env}`;
    return `  ${names}\n      ${description} Takes ${takes}. Default: ${value}.`;
  });
  return [
    "service-socket: a self-hosted Server-Sent Events gateway",
    "",
    "  service-socket [serve] [settings]    start the gateway; shows how to listen and publish",
    "  service-socket --help | --version",
    "",
    "Settings, by flag, by environment variable, or in the file that --config names:",
    "",
    ...settings,
    "",
  ].join("\n");
}
