import { EXIT, exitCodes } from "./cli/exit.ts";

/** What `--help` shows: the commands, each of which has a help of its own. */
export function help(): string {
  return `service-socket: a self-hosted Server-Sent Events gateway

  service-socket serve                 starts the gateway on port 3000; runs when no command is named
  service-socket listen news           shows what is published, and resumes by itself
  service-socket send news hello       publishes a message, or every line of standard input
  service-socket token news            makes a token that lets a page listen
  service-socket doctor <address>      says what proxies do to a stream: buffering, cuts, compression, CORS

  service-socket <command> --help      options, an example, exit codes
  service-socket --version

Try it: \`serve\` in one terminal, then in the same folder \`listen news\` in a second and \`send news hello\` in a third.

${exitCodes(
  [EXIT.ok, "done"],
  [EXIT.problem, "doctor: a problem was found; else an unexpected error"],
  [EXIT.couldNotLook, "doctor: it could not look"],
  [EXIT.usage, "the command was not understood"],
  [EXIT.data, "what was to be sent is refused"],
  [EXIT.unavailable, "the gateway does not answer, or takes nothing right now"],
  [EXIT.noPermission, "the secret or the token is refused"],
  [EXIT.config, "a setting or the secret is wrong or missing"],
)}
`;
}
