import { expect, test } from "bun:test";
import { describeSettings } from "../../src/config.ts";
import { ERRORS } from "../../src/core/errors.ts";
import { METRICS } from "../../src/metrics/table.ts";
import { read, tableOf } from "./markdown.ts";

test("the README's table of settings is that of the code", () => {
  const settings = describeSettings().map(({ env, flag, default: value, description, takes, perApp }) => {
    return [env, flag ?? "none", value, description, takes, perApp ? "yes" : ""];
  });
  expect(tableOf(read("README.md"), "settings")).toEqual(settings);
});

test("the README's rule for names in the settings file holds for every setting", () => {
  for (const { env, file } of describeSettings()) {
    if (file !== null) expect(file).toBe(env.replace(/^SOCKET_/, "").toLowerCase());
  }
});

test("the table of errors is that of the code", () => {
  const errors = Object.entries(ERRORS).map(([type, { status, message }]) => [type, String(status), message]);
  expect(tableOf(read("docs/errors.md"), "errors")).toEqual(errors);
});

test("the table of metrics is that of the code", () => {
  const metrics = METRICS.map(({ name, type, labels, help }) => [name, type, labels.join(", "), help]);
  expect(tableOf(read("docs/metrics.md"), "metrics")).toEqual(metrics);
});
