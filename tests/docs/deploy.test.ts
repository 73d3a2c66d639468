import { expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import { read } from "./markdown.ts";

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Pod {
  readonly enableServiceLinks: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly [Container];
  readonly volumes: readonly {
    readonly name: string;
    readonly persistentVolumeClaim?: { readonly claimName: string };
  }[];
}

interface Deployment {
  readonly replicas: number;
  readonly strategy: { readonly type: string };
  readonly selector: { readonly matchLabels: object };
  readonly template: { readonly metadata: { readonly labels: object }; readonly spec: Pod };
}

interface Part {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: unknown;
}

const PARTS = Bun.YAML.parse(read("deploy/kubernetes.yaml")) as readonly Part[];
const DEPLOYMENT = specOf("Deployment") as Deployment;
const POD = DEPLOYMENT.template.spec;
const [CONTAINER] = POD.containers;
/** The reserve that the README gives a stop beyond the drain: answers that are under way, and the disk. */
const RESERVE_S = 5;

function specOf(kind: string): unknown {
  const found = PARTS.filter((part) => part.kind === kind);
  expect(found).toHaveLength(1);
  return found[0]!.spec;
}

test("the manifest keeps to one process for one file", () => {
  expect(DEPLOYMENT).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
  const claim = PARTS.find(({ kind }) => kind === "PersistentVolumeClaim")!.metadata.name;
  const volume = POD.volumes.find((one) => one.persistentVolumeClaim?.claimName === claim)!.name;
  const data = CONTAINER.env.find(({ name }) => name === "SOCKET_DATA")!.value;
  expect(CONTAINER.volumeMounts).toContainEqual({ name: volume, mountPath: data! });
});

test("the manifest's settings start a server, and give a stop its time", () => {
  const env = CONTAINER.env.map(({ name, value }) => [name, value?.replaceAll(/[<>]/g, "") ?? "x".repeat(64)]);
  const settings = loadConfig({ env: Object.fromEntries(env) as Record<string, string> });
  expect(POD.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(settings.drainMs / 1000 + RESERVE_S);
  expect(CONTAINER.ports).toEqual([{ name: "http", containerPort: settings.port }]);
  expect(POD.enableServiceLinks).toBe(false);
});

test("the manifest asks what the server answers", () => {
  const routes = read("src/http/routes.ts");
  for (const { httpGet } of [CONTAINER.startupProbe, CONTAINER.readinessProbe, CONTAINER.livenessProbe]) {
    expect(routes).toContain(`.get("${httpGet.path}"`);
    expect(httpGet.port).toBe("http");
  }
  expect(CONTAINER.readinessProbe.httpGet.path).toBe("/readyz");
  expect(CONTAINER.livenessProbe.httpGet.path).toBe("/healthz");
});

test("the manifest's parts find one another", () => {
  const { labels } = DEPLOYMENT.template.metadata;
  expect(DEPLOYMENT.selector.matchLabels).toEqual(labels);
  expect(specOf("Service")).toEqual({ selector: labels, ports: [{ name: "http", port: 80, targetPort: "http" }] });
  const volumes = POD.volumes.map(({ name }) => name).sort();
  expect(CONTAINER.volumeMounts.map(({ name }) => name).sort()).toEqual(volumes);
});
