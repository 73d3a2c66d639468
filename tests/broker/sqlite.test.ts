import { join } from "node:path";
import { SqliteBroker } from "../../src/broker/sqlite.ts";
import { contract } from "./contract.ts";
import { folder } from "./fixture.ts";

contract("sqlite", async (settings) => {
  const kept = folder();
  const broker = new SqliteBroker(join(kept.path, "new", "store.db"), "normal", settings);
  return {
    broker,
    end: async () => {
      try {
        await broker.close();
      } finally {
        kept[Symbol.dispose]();
      }
    },
  };
});
