/** A bare `Bun.serve` that parses the JSON of a publish and answers: no authentication, checks, streams or history. */
let seq = 0;

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"]),
  async fetch(request) {
    if (request.method !== "POST") return new Response(null, { status: 405 });
    const { channel } = (await request.json()) as { channel: string };
    seq += 1;
    return Response.json({ code: 0, data: { id: `bench-${seq}`, channel }, message: "Success", Error: null });
  },
});
