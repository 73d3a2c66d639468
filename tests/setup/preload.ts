import { afterAll } from "bun:test";
import { leftOutLines } from "./programs.ts";

// Beside the summary: what did not run must not look as if it had.
afterAll(() => {
  for (const line of leftOutLines()) console.error(`\n${line}`);
});
