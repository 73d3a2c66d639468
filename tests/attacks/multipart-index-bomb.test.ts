import { expect, test } from "bun:test";
import { post, raw, SECRET, WHOLE } from "../api/fixture.ts";
import { unchanged } from "../api/unchanged.ts";

/**
 * A parser that makes arrays of keys such as `a[4294967290].x` was held up for more than ten seconds by one small
 * request. No such parser runs here: multipart is refused, and elsewhere such a name is a name like any other.
 */
const gateway = unchanged();
const ADDRESSES = ["/chat/send", "/chat/send-multi", "/channel/subscribe"];
const NAMES = ["a[4294967290].x", "a[4294967290]", "a[]", "a[0][4294967290][b]", "channel[4294967290]", "__proto__[x]"];

test("multipart is refused by every address that takes a body, whatever the keys", async () => {
  for (const path of ADDRESSES) {
    for (const name of NAMES) {
      const body = new FormData();
      body.set("channel", "a");
      body.set(name, "1");
      expect((await post(gateway.server, path, { body })).error).toMatchObject({ type: "unsupported_media_type" });
    }
  }
});

test("multipart is refused without its body being read", async () => {
  for (const path of ["/chat/send", "/chat/send-multi"]) {
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: key=${SECRET}\r\n`;
    const bytes = `${head}Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n--x\r\n`;
    expect(await raw(gateway.server, bytes, WHOLE)).toStartWith("HTTP/1.1 415 ");
  }
});

test("such keys in a form, a query and JSON are names that nobody asks for, and cost nothing", async () => {
  for (const name of NAMES) {
    const query = `${encodeURIComponent(name)}=1`;
    const json = { [name]: 1 };
    const answers = [
      await post(gateway.server, "/chat/send", { form: query }),
      await post(gateway.server, `/chat/send?${query}`),
      await post(gateway.server, "/chat/send", { json }),
    ];
    // the channel is missing: none of them made one
    for (const { error } of answers) expect(error).toMatchObject({ type: "channel_invalid", field: "channel" });
  }
});
