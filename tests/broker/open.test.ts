import { expect, test } from "bun:test";
import { join } from "node:path";
import { openBroker } from "../../src/broker/open.ts";
import { Ear, Settings, draft, folder, refusal } from "./fixture.ts";

const FORMS = "take memory:, sqlite:path, sqlite:path?synchronous=full or redis://host:port";

test("memory: opens a broker in this process", async () => {
  const broker = await openBroker("memory:", new Settings());
  await broker.start(new Ear());
  expect((await broker.publish("app", [draft("a")])).seq).toBe(1);
});

test.each([[""], ["?synchronous=normal"], ["?synchronous=full"]])(
  "sqlite:path%s opens a broker on a file",
  async (query) => {
    using kept = folder();
    const broker = await openBroker(`sqlite:${join(kept.path, "store.db")}${query}`, new Settings());
    await broker.start(new Ear());
    expect((await broker.publish("app", [draft("a")])).seq).toBe(1);
    await broker.close();
  },
);

test.each([
  ["", 'The broker "" is not known'],
  ["sqlite", 'The broker "sqlite" is not known'],
  ["postgres://localhost", 'The broker "postgres://localhost" is not known'],
  ["sqlite:", 'The broker "sqlite:" names no file'],
  ["sqlite:x?synchronous=off", 'The broker "sqlite:x?synchronous=off" has a parameter that is not known'],
  ["sqlite:x?cache=1", 'The broker "sqlite:x?cache=1" has a parameter that is not known'],
])("%p is refused with the forms that are taken", async (address, start) => {
  expect(await refusal(openBroker(address, new Settings()))).toBe(`${start}; ${FORMS}.`);
});

test.each([
  ["redis://:secret@host:port"],
  ["redis://one,two"],
  ["redis://host/db"],
  ["redis://host?secret=1"],
  ["redis+sentinel://host:26379"],
  ["redis+cluster://host/1"],
  ["redis+proxy://:secret@host"],
  ["rediss://:%zz@host"],
])("%p is refused with the forms that Redis takes, and is not repeated", async (address) => {
  const said = await refusal(openBroker(address, new Settings()));
  expect(said).toStartWith(
    "The address of the Redis broker has none of the forms redis://host:port/db, redis+cluster:",
  );
  expect(said).not.toContain("secret");
});
