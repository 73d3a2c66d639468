import { expect, test } from "bun:test";
import { Fault } from "../../src/broker/fault.ts";
import { Settings } from "./fixture.ts";

test("a fault is told once when it begins and once when it is over, and again when it comes back", () => {
  const settings = new Settings();
  const fault = new Fault({ begins: "begins", over: "over", quietLooks: 2 }, settings);
  const looks = (count: number): void => {
    for (let i = 0; i < count; i++) fault.look();
  };
  looks(3);
  fault.failed(new Error("x"));
  looks(1);
  fault.failed(new Error("x"));
  looks(1); // it has not been quiet for long enough
  expect(settings.logged).toEqual(["error: begins"]);
  looks(4);
  expect(settings.logged).toEqual(["error: begins", "info: over"]);
  fault.failed(new Error("x"));
  looks(2);
  expect(settings.logged.slice(2)).toEqual(["error: begins", "info: over"]);
});
