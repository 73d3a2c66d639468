import { describe, expect, test } from "bun:test";
import { serve } from "../api/fixture.ts";
import { read } from "../docs/markdown.ts";
import { METRICS } from "../../src/metrics/table.ts";
import { scrape } from "./scrape.ts";

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: Place;
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly datasource: { readonly uid: string };
  }[];
}

interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; query: unknown }[] };
  readonly panels: readonly Panel[];
}

const dashboard = JSON.parse(read("deploy/grafana/service-socket.json")) as Dashboard;
const graphs = dashboard.panels.filter(({ type }) => type !== "row");
const asked = graphs.flatMap(({ targets }) => targets!.map(({ expr }) => expr));
const NAMES = /\b(?:service_socket|process)_[a-z_]+\b/g;

describe("the dashboard", () => {
  test("asks for nothing that is not in a scrape, by metric and by label", async () => {
    await using server = await serve({ settings: { SOCKET_ADMIN_PORT: "0" } });
    const { series } = await scrape(server.adminUrl);
    const labels = new Map(series.map(({ name, labels: own }) => [name, Object.keys(own)]));
    expect(asked.length).toBeGreaterThan(20);
    for (const expr of asked) {
      const names = expr.match(NAMES) ?? [];
      expect([expr, names.length > 0]).toEqual([expr, true]);
      const known = names.flatMap((name) => labels.get(name) ?? expect.unreachable(`${expr} asks for ${name}`));
      const wanted = [...expr.matchAll(/by \(([a-z_, ]+)\)|([a-z_]+)=~/g)].flatMap(([, by, equal]) =>
        (by ?? equal!).split(/, */),
      );
      // What Prometheus adds to all that it scrapes.
      expect(wanted.filter((label) => ![...known, "instance", "job"].includes(label))).toEqual([]);
    }
  });

  test("shows every metric but the build's", () => {
    const shown = new Set(asked.flatMap((expr) => expr.match(NAMES) ?? []));
    const missing = METRICS.filter(({ name, type }) => !shown.has(type === "histogram" ? `${name}_bucket` : name));
    expect(missing.map(({ name }) => name)).toEqual(["service_socket_build_info", "process_start_time_seconds"]);
  });

  test("takes its data source from a variable everywhere, and uses no variable that it has not", () => {
    const variables = dashboard.templating.list.map(({ name }) => name);
    expect(dashboard.templating.list[0]).toMatchObject({ name: "datasource", type: "datasource", query: "prometheus" });
    for (const { datasource, targets } of graphs) {
      for (const one of [{ datasource }, ...targets!]) expect(one.datasource).toMatchObject({ uid: "${datasource}" });
    }
    const used = [...JSON.stringify(dashboard).matchAll(/\$\{?([a-z]+)\}?/g)].map(([, name]) => name!);
    expect(used.filter((name) => !variables.includes(name))).toEqual([]);
    expect(variables.filter((name) => !used.includes(name))).toEqual([]);
  });

  test("has panels with a title, an id and a place of their own", () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const [i, { title, gridPos: a, targets = [] }] of dashboard.panels.entries()) {
      expect(title).not.toBe("");
      expect(a.x + a.w).toBeLessThanOrEqual(24);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
      for (const { gridPos: b } of dashboard.panels.slice(i + 1)) {
        expect(a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h).toBe(false);
      }
    }
  });
});
