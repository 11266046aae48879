/**
 * The example on a Kubernetes, beside the same Flask and Redis from the same images, started without the runtime by a plain chart with ready-made
 * certificates: time from `helm install` to the first correct answer, start of 30 pods at once; then the resident memory of the platform's processes.
 * usage: node bench/cluster.ts RELEASE NAMESPACE [ROUNDS]
 * Run it where ./run.sh installed RELEASE into NAMESPACE before, on the machine that is the cluster's only node (memory is read from /proc).
 * Needs: kubectl, helm, openssl, curl.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { measurePairs, median, report } from "./pairs.ts";

const [release, namespace, rounds = "5"] = process.argv.slice(2);
if (release === undefined || namespace === undefined) {
  console.error("usage: node bench/cluster.ts RELEASE NAMESPACE [ROUNDS]");
  process.exit(2);
}
const PODS_AT_ONCE = 30;
const PORT = 4996;
const root = join(import.meta.dirname, "..");
const work = mkdtempSync(join(tmpdir(), "bench-cluster-"));
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: work, encoding: "utf8", maxBuffer: 32 * 1024 * 1024, stdio: ["ignore", "pipe", "pipe"] });
const kubectl = (...args: string[]) => run("kubectl", "-n", namespace, ...args);
const helm = (...args: string[]) => run("helm", "-n", namespace, ...args);
const imageOf = (service: string) =>
  kubectl("get", "deployment", `${release}-${service}`, "-o", "jsonpath={.spec.template.spec.containers[0].image}").trim();

// --- the peer ----------------------------------------------------------------------------------------------------------------
const images = { flask: imageOf("flask"), redis: imageOf("redis") };
makeCertificates();
const secret = [
  "generic",
  "plain-tls",
  ...["api", "redis", "client"].flatMap((name) => [`--from-file=${name}.crt`, `--from-file=${name}.key`]),
];
const cleanUp = () => {
  for (const name of [release, "plain"]) helm("uninstall", name, "--ignore-not-found");
  kubectl("delete", "secret/plain-tls", "configmap/plain-code", "--ignore-not-found");
  rmSync(work, { recursive: true });
};
kubectl("create", "secret", ...secret, "--from-file=redis-ca.crt");
kubectl("create", "configmap", "plain-code", `--from-file=${join(root, "examples/patient-records/api.py")}`);
writePlainChart();

function makeCertificates(): void {
  const p256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  for (const [ca, leaf, name] of [
    ["redis-ca", "redis", "plain-redis"],
    ["redis-ca", "client", "client"],
    ["api-ca", "api", "api"],
  ] as const) {
    if (leaf !== "client") run("openssl", "req", "-x509", ...p256, "-keyout", `${ca}.key`, "-out", `${ca}.crt`, "-subj", `/CN=${ca}`);
    const extensions = ["-addext", `subjectAltName=DNS:${name}`, "-addext", "basicConstraints=critical,CA:false"];
    const signer = ["-CA", `${ca}.crt`, "-CAkey", `${ca}.key`];
    run(
      "openssl",
      "req",
      "-x509",
      ...p256,
      "-keyout",
      `${leaf}.key`,
      "-out",
      `${leaf}.crt`,
      "-subj",
      `/CN=${name}`,
      ...signer,
      ...extensions,
    );
  }
}

function writePlainChart(): void {
  const file = (name: string, path: string) => ({ key: name, path });
  const workload = (name: string, image: string, container: object, items: object[], volumes: object[] = []) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: `plain-${name}` },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: `plain-${name}` } },
      template: {
        metadata: { labels: { app: `plain-${name}` } },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 1,
          imagePullSecrets: [{ name: "sconeapps" }],
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            runAsGroup: 65532,
            fsGroup: 65532,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [
            {
              name: "api",
              image,
              imagePullPolicy: "Always",
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
              ...container,
            },
          ],
          volumes: [{ name: "tls", secret: { secretName: "plain-tls", items } }, ...volumes],
        },
      },
    },
  });
  const service = (name: string, port: number) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `plain-${name}` },
    spec: { selector: { app: `plain-${name}` }, ports: [{ port }] },
  });
  const probe = (port: number) => ({ readinessProbe: { tcpSocket: { port }, periodSeconds: 2 } });
  const tls = { name: "tls", mountPath: "/tls" };
  const redis = [
    // Debian's redis-server is a link, and the program asks under which name it was called.
    ...[
      "sh",
      "-c",
      'ln -s /vouchsafe/program/usr/bin/redis-* /tmp/redis-server && exec /tmp/redis-server "$@"',
      "sh",
      "--port",
      "0",
      "--tls-port",
      "6379",
      "--tls-cert-file",
      "/tls/redis.crt",
    ],
    ...["--tls-key-file", "/tls/redis.key", "--tls-ca-cert-file", "/tls/ca.crt", "--tls-auth-clients", "yes", "--protected-mode", "no"],
    ...["--save", "", "--appendonly", "no", "--dir", "/tmp"],
  ];
  const objects = [
    workload("redis", images.redis, { command: redis, volumeMounts: [tls], ...probe(6379) }, [
      ...[file("redis.crt", "redis.crt"), file("redis.key", "redis.key"), file("redis-ca.crt", "ca.crt")],
    ]),
    service("redis", 6379),
    workload(
      "flask",
      images.flask,
      {
        command: ["sh", "-c", "exec /vouchsafe/program/usr/bin/python3* /code/api.py"],
        env: [
          { name: "REDIS_HOST", value: "plain-redis" },
          { name: "REDIS_PORT", value: "6379" },
        ],
        volumeMounts: [tls, { name: "code", mountPath: "/code" }],
        ...probe(PORT),
      },
      [
        ...[file("api.crt", "flask.crt"), file("api.key", "flask.key"), file("client.crt", "client.crt"), file("client.key", "client.key")],
        file("redis-ca.crt", "redis-ca.crt"),
      ],
      [{ name: "code", configMap: { name: "plain-code" } }],
    ),
    service("flask", PORT),
  ];
  mkdirSync(join(work, "plain/templates"), { recursive: true });
  writeFileSync(join(work, "plain/Chart.yaml"), "apiVersion: v2\nname: plain\nversion: 0.1.0\n");
  writeFileSync(join(work, "plain/templates/objects.yaml"), objects.map((object) => JSON.stringify(object)).join("\n---\n"));
}

// --- the measurements --------------------------------------------------------------------------------------------------------
const untilGone = async (label: string) => {
  while (kubectl("get", "pods", "-l", label, "-o", "name").trim() !== "") await sleep(200);
};
const labelOf = (name: string) => (name === "plain" ? "app in (plain-flask,plain-redis)" : `app.kubernetes.io/instance=${release}`);

async function timeToFirstAnswer(name: string, chart: string): Promise<number> {
  helm("uninstall", name, "--ignore-not-found");
  await untilGone(labelOf(name));
  const before = performance.now();
  helm("install", name, chart);
  const address = kubectl("get", "service", `${name}-flask`, "-o", "jsonpath={.spec.clusterIP}").trim();
  for (;;) {
    try {
      // Who answers does not matter here; that it is the program, and that it has its store, does.
      if (run("curl", "-sk", "--max-time", "2", `https://${address}:${PORT}/keys`).includes("keys")) return performance.now() - before;
    } catch {
      // not yet
    }
    await sleep(50);
  }
}

const accepts = (host: string) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port: PORT, timeout: 1000 });
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket
      .on("connect", () => end(true))
      .on("timeout", () => end(false))
      .on("error", () => end(false));
  });

/** Scales Flask from none to 30 pods: until the last one accepts a connection. */
async function timeToStartAll(name: string): Promise<number> {
  const pods = name === "plain" ? "app=plain-flask" : `app.kubernetes.io/name=flask,app.kubernetes.io/instance=${release}`;
  kubectl("scale", "deployment", `${name}-flask`, "--replicas=0");
  // What the manifest asks for 30 times is more than one small node has.
  kubectl("set", "resources", "deployment", `${name}-flask`, "--requests=memory=64Mi", "--limits=memory=512Mi");
  await untilGone(pods);
  const before = performance.now();
  kubectl("scale", "deployment", `${name}-flask`, `--replicas=${PODS_AT_ONCE}`);
  const open = new Set<string>();
  while (open.size < PODS_AT_ONCE) {
    const addresses = kubectl("get", "pods", "-l", pods, "-o", "jsonpath={.items[*].status.podIP}").trim().split(/\s+/);
    for (const address of addresses) if (address !== "" && !open.has(address) && (await accepts(address))) open.add(address);
    await sleep(1_000); // kubectl itself costs a tenth of a second of processor time
  }
  const took = performance.now() - before;
  if (name !== "plain") printMemory();
  kubectl("scale", "deployment", `${name}-flask`, "--replicas=1");
  return took;
}

interface Pod {
  readonly metadata: { readonly name: string };
  readonly status: { readonly containerStatuses?: readonly { readonly containerID?: string }[] };
}

/** Resident memory of each process of the runtime and the platform, by what it is. */
function printMemory(): void {
  const listed = JSON.parse(run("kubectl", "get", "pods", "--all-namespaces", "-o", "json")) as { items: Pod[] };
  const podOf = new Map(
    listed.items.flatMap(({ metadata, status }) =>
      (status.containerStatuses ?? []).flatMap(({ containerID }): [string, string][] =>
        containerID === undefined ? [] : [[containerID.replace(/^.*\/\//, ""), metadata.name]],
      ),
    ),
  );
  const sizes = new Map<string, number[]>();
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => {
      try {
        return readFileSync(`/proc/${id}/${file}`, "utf8");
      } catch {
        return ""; // ended
      }
    };
    if (!read("cmdline").includes("/vouchsafe/runtime/main.js")) continue;
    const container = [...podOf.keys()].find((each) => read("cgroup").includes(each));
    const pod = container === undefined ? undefined : podOf.get(container);
    const kind =
      pod === undefined
        ? undefined
        : /^cas-0$/.test(pod)
          ? "CAS"
          : /operator/.test(pod)
            ? "operator"
            : /^las-/.test(pod)
              ? "node agent"
              : "runtime in a pod";
    const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(read("status"))?.[1]);
    if (kind !== undefined && kilobytes > 0) sizes.set(kind, [...(sizes.get(kind) ?? []), kilobytes / 1024]);
  }
  for (const [kind, values] of sizes)
    console.log(`resident memory, ${kind}: ${median(values).toFixed(0)} MiB (${values.length} processes)`);
}

try {
  const ours = join(root, "target/helm");
  const install = await measurePairs(
    Number(rounds),
    () => timeToFirstAnswer(release, ours),
    () => timeToFirstAnswer("plain", join(work, "plain")),
  );
  console.log(report("helm install to the first answer", "ms", install));
  const all = await measurePairs(
    Math.max(1, Math.floor(Number(rounds) / 2)),
    () => timeToStartAll(release),
    () => timeToStartAll("plain"),
  );
  console.log(report(`${PODS_AT_ONCE} pods at once until the last one serves`, "ms", all));
} finally {
  cleanUp();
}
