import { once } from "node:events";
import { connect } from "node:net";
import type { Place } from "../api/fixture.ts";

/** How often one of them sends its bytes again. */
const EVERY_MS = 500;

/**
 * Sends `first`, then `drip` again and again for as long as it is let. Resolves when the connection is ended, with all
 * that the server said.
 */
export async function drip(place: Place, first: string, drip: string): Promise<string> {
  const connection = connect(place.port, "127.0.0.1").setEncoding("latin1");
  let said = "";
  connection.on("data", (text: string) => (said += text));
  connection.on("error", () => undefined); // a reset is an end as well
  connection.write(first);
  const sending = setInterval(() => connection.write(drip), EVERY_MS);
  try {
    await once(connection, "close");
    return said;
  } finally {
    clearInterval(sending);
    connection.destroy();
  }
}
