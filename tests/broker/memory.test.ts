import { MemoryBroker } from "../../src/broker/memory.ts";
import { contract } from "./contract.ts";

contract("memory", async (settings) => {
  const broker = new MemoryBroker(settings);
  return { broker, end: () => broker.close() };
});
