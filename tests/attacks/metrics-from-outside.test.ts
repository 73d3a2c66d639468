import { expect, test } from "bun:test";
import { call, serve } from "../api/fixture.ts";

test("metrics are not reachable at the address for everyone, by whatever path, method or Host", async () => {
  await using server = await serve({ settings: { SOCKET_ADMIN_PORT: "0" } });
  const admin = new URL(server.adminUrl!);
  expect(admin.port).not.toBe(String(server.port));
  for (const path of ["/metrics", "//metrics", "/metrics?x", "/%6detrics", "/admin/metrics", "/./metrics"]) {
    for (const host of [`127.0.0.1:${server.port}`, admin.host, "localhost"]) {
      const { error } = await call(server, "GET", path, { headers: { Host: host } });
      expect(error).toMatchObject({ type: "not_found" });
    }
  }
});

test("the admin listener is on loopback unless the settings say otherwise, also where the server is on every address", async () => {
  await using server = await serve({ settings: { SOCKET_ADMIN_PORT: "0", SOCKET_HOST: "0.0.0.0" } });
  expect(new URL(server.adminUrl!).hostname).toBe("127.0.0.1");
});
