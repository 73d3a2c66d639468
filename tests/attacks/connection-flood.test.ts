import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { expect, test } from "bun:test";
import { listen } from "../api/listening.ts";
import { type Gateway, startGateway } from "../setup/gateway.ts";

const DESCRIPTORS = 128;
const FLOOD = 300;
/** Of the linux kernel's clock that `/proc/PID/stat` counts in: USER_HZ, which is 100 wherever Bun runs. */
const TICK_MS = 10;

async function open(gateway: Gateway): Promise<Socket> {
  const connection = connect(gateway.port, "127.0.0.1");
  await once(connection, "connect");
  return connection;
}

/** Publishes on a connection that is open, and gives the status line. */
async function publishOn(connection: Socket, gateway: Gateway, data: string): Promise<string> {
  connection.write(
    `POST /chat/send?channel=news&data=${data} HTTP/1.1\r\nHost: x\r\n` +
      `Authorization: key=${gateway.secret}\r\nContent-Length: 0\r\n\r\n`,
  );
  const [answer] = (await once(connection, "data")) as [Buffer];
  return answer.toString().slice(0, 15);
}

function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS; // utime and stime, proc_pid_stat(5)
}

test.if(process.platform === "linux")(
  "connections past the descriptor limit wait, what is open goes on, and the server does not spin",
  async () => {
    await using gateway = await startGateway({ descriptors: DESCRIPTORS, settings: { SOCKET_HEARTBEAT: "500ms" } });
    const authorization = `key=${gateway.secret}`;
    await using stream = await (await listen(`${gateway.url}/channel/news/stream`, { authorization })).live();
    const publisher = await open(gateway);
    expect(await publishOn(publisher, gateway, "before")).toBe("HTTP/1.1 200 OK");
    expect((await stream.next()).data).toBe("before");

    const flood = await Promise.all(Array.from({ length: FLOOD }, () => open(gateway)));
    try {
      await gateway.wrote("the descriptor limit is reached");
      expect(gateway.output).toContain('"waiting":true');
      const [beganMs, usedMs] = [performance.now(), processorMs(gateway.pid)];
      for (let count = 0; count < 4; count++) await heartbeat();
      const share = (processorMs(gateway.pid) - usedMs) / (performance.now() - beganMs);
      expect(share).toBeLessThan(0.2); // spinning took 0.66 of a busy processor

      expect(await publishOn(publisher, gateway, "meanwhile")).toBe("HTTP/1.1 200 OK");
      expect((await stream.next()).data).toBe("meanwhile");
    } finally {
      for (const connection of flood) connection.destroy();
    }

    await using next = await (await listen(`${gateway.url}/channel/news/stream`, { authorization })).live();
    await gateway.wrote("new connections are accepted again");
    expect(await publishOn(publisher, gateway, "after")).toBe("HTTP/1.1 200 OK");
    for (const one of [stream, next]) expect((await one.next()).data).toBe("after");
    publisher.destroy();

    async function heartbeat(): Promise<void> {
      const heard = stream.ids.length + stream.comments.length;
      await stream.when(() => (stream.ids.length + stream.comments.length > heard ? true : undefined));
    }
  },
  30_000,
);
