import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { findIn, readEverything } from "./canaries.ts";
import { CLUSTER_STATE, eventually, isOwnCluster, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";
import { installPatientService } from "./patient-service.ts";

const CONTAINER = "/spec/template/spec/containers/0";
const environment = (name: string, value: string) => ({ op: "add", path: `${CONTAINER}/env/-`, value: { name, value } });

test("refusals on a real Kubernetes: the pod says why, in its log and in an event, and nothing starts", {
  timeout: 30 * 60_000,
}, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, repository, run, shell, addNamespace } = cluster;
  const canaries = { secret: `canary-secret-${randomBytes(12).toString("hex")}`, code: `canary-code-${randomBytes(12).toString("hex")}` };
  await preparePlatform(cluster);
  const service = await installPatientService(cluster, canaries);
  const step = (name: string, work: () => Promise<void>) => t.test(name, work);

  /** A clone of Redis with one thing wrong: it must say so in log and event, and never start its program. */
  const refused = async (
    name: string,
    patch: readonly object[],
    says: { readonly log?: RegExp; readonly event: RegExp },
    original = "redis",
  ) => {
    await service.clone(original, name, patch);
    const { log } = await eventually(`the reason why ${name} does not start`, async () => {
      const seen = await service.said(name);
      return (says.log === undefined || says.log.test(seen.log)) && says.event.test(seen.events) ? seen : undefined;
    });
    assert.doesNotMatch(log, /started after|Ready to accept connections/);
    await service.removeClone(name);
  };

  await step("an unreachable CAS", async () => {
    // A name that is served by nobody: what is said while waiting, and at the end.
    await refused(
      "no-cas",
      [{ op: "replace", path: `${CONTAINER}/env/1/value`, value: `nowhere.${namespace}` }, environment("VOUCHSAFE_WAIT_SECONDS", "3")],
      { log: /error: .*nowhere\./, event: /StartRefused: error: .*nowhere\./ },
    );
  });

  await step("a CAS with another key than the chart pins", async () => {
    const env: { name: string; value?: string }[] = JSON.parse(
      await run("kubectl", "-n", namespace, "get", "deployment", "clinic-redis", "-o", "jsonpath={.spec.template.spec.containers[0].env}"),
    );
    const at = env.findIndex(({ name }) => name === "VOUCHSAFE_CAS_KEY");
    assert(at >= 0, "the chart pins the key of the CAS");
    const others = (await run("kubectl", "get", "cas", "cas", "-n", "scone-system", "-o", "jsonpath={.status.keyHash}")).trim();
    assert.notEqual(others, env[at]?.value);
    await refused("wrong-key", [{ op: "replace", path: `${CONTAINER}/env/${at}/value`, value: others }], {
      log: /error: .*key/i,
      event: /StartRefused: error: .*key/i,
    });
  });

  await step("a policy for another image", async () => {
    // Flask's image, started as it should be, asks for what the policy keeps for Redis.
    const session = { op: "replace", path: `${CONTAINER}/env/0/value`, value: await sessionOf("redis") };
    await refused(
      "other-image",
      [session],
      {
        log: /error: no attestation variant admits the program.*code measurement is/s,
        event: /StartRefused: error: no attestation variant admits the program.*code measurement is/,
      },
      "flask",
    );
  });

  await step("hazard G6: another start command", async () => {
    const command = ["/vouchsafe/runtime/bin/node", "/vouchsafe/runtime/main.js"];
    await refused("other-command", [{ op: "replace", path: `${CONTAINER}/command`, value: command }], {
      log: /agent refuses|cannot open shared object|error/,
      event: /EvidenceRefused|StartRefused|BackOff/,
    });
  });

  await step("hazard I1: a volume over the image's files", async () => {
    const patch = [
      { op: "add", path: "/spec/template/spec/volumes/-", value: { name: "over", emptyDir: {} } },
      { op: "add", path: `${CONTAINER}/volumeMounts/-`, value: { name: "over", mountPath: "/usr/share" } },
    ];
    await refused("hidden-files", patch, {
      // The launcher sees it before it asks for evidence; the agent would refuse it too.
      log: /error: the container has a volume at \/usr\/share /,
      event: /StartRefused: error: the container has a volume at \/usr\/share /,
    });
  });

  await step("hazards I1, I7: a volume where the image has nothing, and the list of libraries that a loader would read", async () => {
    const at = (name: string, source: object, mountPath: string, more: object = {}) => [
      { op: "add", path: "/spec/template/spec/volumes/-", value: { name, ...source } },
      { op: "add", path: `${CONTAINER}/volumeMounts/-`, value: { name, mountPath, ...more } },
    ];
    await run("kubectl", "-n", namespace, "create", "configmap", "preload", "--from-literal=preload=/nowhere/evil.so");
    const patch = [
      ...at("kept", { configMap: { name: "preload" } }, "/kept"),
      ...at("preload", { configMap: { name: "preload" } }, "/etc/ld.so.preload", { subPath: "preload" }),
    ];
    await refused("volumes", patch, {
      log: /error: the container has a volume at (?=.*\/kept )(?=.*\/etc\/ld\.so\.preload ).*[\s\S]*help: Take them out of the pod/,
      event: /StartRefused: error: the container has a volume at /,
    });
  });

  await step("hazard I7: emptyDirs, /tmp among them, are memory of the program", async () => {
    const patch = [
      { op: "add", path: "/spec/template/spec/volumes/-", value: { name: "scratch", emptyDir: {} } },
      { op: "add", path: `${CONTAINER}/volumeMounts/-`, value: { name: "scratch", mountPath: "/tmp" } },
      { op: "add", path: `${CONTAINER}/volumeMounts/-`, value: { name: "scratch", mountPath: "/scratch" } },
    ];
    await service.clone("redis", "scratch", patch);
    const { log } = await eventually("the program of the pod with emptyDirs", async () => {
      const seen = await service.said("scratch");
      return /started after/.test(seen.log) ? seen : undefined;
    });
    for (const path of ["/tmp", "/scratch"]) assert(log.includes(`warning: the volume mounted at ${path} (`), log);
    await service.removeClone("scratch");
  });

  await step("user namespaces forbidden by the seccomp profile", async () => {
    const patch = [{ op: "replace", path: "/spec/template/spec/securityContext/seccompProfile", value: { type: "RuntimeDefault" } }];
    await refused("no-userns", patch, {
      log: /error: .*namespace[\s\S]*securityContext\.seccompProfile/i,
      event: /StartRefused: error: .*namespace/i,
    });
  });

  await step("a missing pull secret, and a wrong one", async () => {
    const image = `${repository}/app/patient-records:latest`;
    for (const [what, secret] of [
      ["missing", ""],
      [
        "wrong",
        `kubectl -n $NS create secret docker-registry sconeapps --docker-server=${repository.split("/")[0]} --docker-username=developer --docker-password=not-this-one >/dev/null`,
      ],
    ] as const) {
      const place = `${namespace}-${what}`;
      await addNamespace(place);
      await shell(
        `export NS=${place}; kubectl -n $NS delete secret sconeapps >/dev/null; ${secret}
         kubectl -n ${namespace} get deployment clinic-redis -o json |
           jq '{apiVersion, kind, metadata: {name: "pull"}, spec: {selector: {matchLabels: {app: "pull"}}, template: (.spec.template | .metadata.labels = {app: "pull"} | .spec.containers[0].image = "${image}" | del(.spec.serviceAccountName, .spec.serviceAccount))}}' |
           kubectl -n $NS create -f -`,
      );
      const events = await eventually(`the event about the ${what} pull secret`, async () => {
        const text = await run(
          "kubectl",
          "-n",
          place,
          "get",
          "events",
          "-o",
          'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}',
        );
        return /Failed: .*(?:401|authorization|no basic auth|credentials)/.test(text) ? text : undefined;
      });
      assert.doesNotMatch(events, /Started/);
    }
  });

  if (!isOwnCluster()) {
    await step("hazard G3: an image that was tampered with in the registry", async () => {
      await service.build((code) => `${code}# another image, never pulled by this node\n`);
      const repositories = join(CLUSTER_STATE, "registry/docker/registry/v2/repositories");
      const link = join(repositories, namespace, "app/patient-records/_manifests/tags/latest/current/link");
      const digest = (await readFile(link, "utf8")).trim();
      const known = await layersOf((await imageOf("flask")).split("@")[1] ?? "");
      // A layer that no other image has: those stay as they are.
      const [layer] = (await layersOf(digest)).filter((candidate) => !known.includes(candidate));
      assert(layer !== undefined);
      await flipByte(blob(layer));
      const tampered = { op: "replace", path: `${CONTAINER}/image`, value: `${repository}/app/patient-records@${digest}` };
      await refused("tampered", [tampered], { event: /Failed: .*(?:digest|checksum|validation|zstd|gzip|invalid|corrupt)/i }, "flask");
    });
  }

  if (!isOwnCluster()) {
    // Of a user's cluster nobody knows whether its network plugin enforces policies.
    await step("network policies admit the mesh and refuse strangers", async () => {
      const elsewhere = `${namespace}-elsewhere`;
      await addNamespace(elsewhere);
      const callers = [
        { name: "admitted", place: namespace, labels: { "app.kubernetes.io/instance": "clinic", "vouchsafe.dev/test": "connection" } },
        { name: "stranger", place: namespace, labels: { app: "stranger" } },
        { name: "other-release", place: namespace, labels: { "app.kubernetes.io/name": "flask", "app.kubernetes.io/instance": "ward" } },
        { name: "same-labels", place: elsewhere, labels: { "app.kubernetes.io/name": "flask", "app.kubernetes.io/instance": "clinic" } },
      ];
      for (const { name, place, labels } of callers) await callRedis(name, place, labels);
      const logOf = ({ name, place }: (typeof callers)[number]) => run("kubectl", "-n", place, "logs", name);
      const [admitted, ...strangers] = callers;
      assert(admitted !== undefined);
      await eventually("the admitted pod connects", async () => /accepts connections/.test(await logOf(admitted)) || undefined);
      for (const caller of strangers) {
        await eventually(`${caller.name} was refused`, async () => /waiting for/.test(await logOf(caller)) || undefined);
      }
      for (const caller of strangers) assert.doesNotMatch(await logOf(caller), /accepts connections/, caller.name);
      for (const { name, place } of callers) await run("kubectl", "-n", place, "delete", "pod", name, "--wait=false");
    });

    await step("restrictEgress: a service reaches CAS, node agent, name service and its store, and nothing else", async () => {
      const api = (await run("kubectl", "-n", "default", "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")).trim();
      const script = `require("node:net").connect(443, "${api}").on("connect", () => { console.log("open"); process.exit(); }).on("error", (e) => { console.log(e.code); process.exit(); }).setTimeout(5000, () => { console.log("silent"); process.exit(); })`;
      const node = ["sh", "-c", 'LD_LIBRARY_PATH=/vouchsafe/runtime/lib exec /vouchsafe/runtime/bin/node -e "$1"', "sh"];
      const look = async () => {
        const pod = await service.pod("flask");
        return (await run("kubectl", "-n", namespace, "exec", pod, "-c", "api", "--", ...node, script)).trim();
      };
      assert.equal(await look(), "open");
      await run(
        "helm",
        "upgrade",
        "--reuse-values",
        "-n",
        namespace,
        "clinic",
        "target/helm",
        "--set",
        "flask.networkPolicy.restrictEgress=true",
      );
      await eventually("the API server is out of reach", async () => ((await look()) === "open" ? undefined : true));
      await run("kubectl", "-n", namespace, "rollout", "restart", "deployment/clinic-flask");
      await service.untilReady("flask");
      const form =
        "fname=Egress&lname=Doe&address=1&city=R&state=W&ssn=1&email=a@b.c&dob=1&contactphone=1&drugallergies=n&preexistingconditions=n&dateadmitted=1&insurancedetails=n";
      // The pod is new: the network plugin learns of it in its own time.
      const read = await eventually("it serves, store and all", async () => {
        const record = `${service.url}/patient/egress-${Date.now()}`;
        await run("curl", "-sSfk", "--max-time", "10", record, "-d", form);
        return run("curl", "-sSfk", "--max-time", "10", record);
      });
      assert.match(read, /"fname": "Egress"/);
      await eventually("the API server is out of reach of the new pod too", async () => ((await look()) === "open" ? undefined : true));
    });
  }

  await step("kubectl exec, cp and debug see no secret and no plaintext code", async () => {
    const pod = await service.pod("flask");
    const look =
      "cat /tls/* /app/api.py /proc/[0-9]*/environ /proc/[0-9]*/root/tls/* /proc/[0-9]*/root/app/api.py /proc/[0-9]*/maps /run/vouchsafe/* 2>/dev/null; ls -laR /tls /run/vouchsafe 2>/dev/null; true";
    const places = new Map<string, string>();
    places.set("exec", await run("kubectl", "-n", namespace, "exec", pod, "-c", "api", "--", "sh", "-c", look));
    places.set("exec, memory", await run("kubectl", "-n", namespace, "exec", pod, "-c", "api", "--", "sh", "-c", MEMORY));
    await run("kubectl", "-n", namespace, "cp", "-c", "api", `${pod}:/app`, "copied-app").catch(() => undefined); // needs tar in the image
    places.set("cp", await readFile(join(cluster.directory, "copied-app", "api.py"), "latin1").catch(() => ""));
    places.set("cat", await run("kubectl", "-n", namespace, "exec", pod, "-c", "api", "--", "cat", "/app/api.py").catch(() => ""));
    const debug = ["debug", pod, `--image=${await imageOf("redis")}`, "--target=api", "--profile=restricted", "--container=looker"];
    await run("kubectl", "-n", namespace, ...debug, "--", "/bin/sh", "-c", `${look}; ${MEMORY}; echo looked`);
    const seen = await eventually("the debug container looked", async () => {
      const log = await run("kubectl", "-n", namespace, "logs", pod, "-c", "looker");
      return log.includes("looked") ? log : undefined;
    });
    places.set("debug", seen);
    for (const canary of Object.values(canaries)) assert.deepEqual(findIn(places, canary), []);
    assert.match(
      await run("kubectl", "-n", namespace, "logs", pod, "-c", "api"),
      /The connection to the store is fine/,
      "it runs all the while",
    );
  });

  await step("hazards H9, L6: no object, release, event or log of the cluster holds a secret or the program's code", async () => {
    const places = await readEverything(cluster);
    assert(places.size > 30, `${places.size} places`);
    const known = findIn(places, "clinic-flask");
    assert(
      known.length > 3 && known.some((place) => /^secret .* release$/.test(place)),
      `the scan finds what is there: ${known.join(", ")}`,
    );
    for (const canary of Object.values(canaries)) assert.deepEqual(findIn(places, canary), []);
  });

  /** A pod that tries to connect to Redis until it succeeds, and says so. */
  async function callRedis(name: string, place: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const image = `${cluster.environment["SCONECTL_REPO"]}/runtime:${cluster.environment["VERSION"]}`;
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: place, labels },
      spec: {
        restartPolicy: "Never",
        terminationGracePeriodSeconds: 0,
        automountServiceAccountToken: false,
        imagePullSecrets: [{ name: "sconeapps" }],
        securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "call",
            image,
            command: ["/vouchsafe/bin/wait-for"],
            args: [`clinic-redis.${namespace}`, "6379"],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
        ],
      },
    };
    const file = join(cluster.directory, `${name}.json`);
    await writeFile(file, JSON.stringify(pod));
    await run("kubectl", "create", "-f", file);
  }

  async function sessionOf(name: string): Promise<string> {
    const path = "jsonpath={.spec.template.spec.containers[0].env[0].value}";
    return (await run("kubectl", "-n", namespace, "get", "deployment", `clinic-${name}`, "-o", path)).trim();
  }

  async function imageOf(name: string): Promise<string> {
    const path = "jsonpath={.spec.template.spec.containers[0].image}";
    return (await run("kubectl", "-n", namespace, "get", "deployment", `clinic-${name}`, "-o", path)).trim();
  }

  async function layersOf(digest: string): Promise<readonly string[]> {
    const { layers }: { layers: { digest: string }[] } = JSON.parse(await readFile(blob(digest), "utf8"));
    return layers.map((layer) => layer.digest);
  }
  return undefined;
});

/** Reads what memory of other processes can be read. */
const MEMORY = "for m in /proc/[0-9]*/mem; do dd if=$m bs=1M count=64 skip=0 2>/dev/null; done | tr -d '\\0' | head -c 1000000; true";

/** Where the registry keeps a blob. */
const blob = (digest: string): string =>
  join(CLUSTER_STATE, "registry/docker/registry/v2/blobs/sha256", digest.slice(7, 9), digest.slice(7), "data");

async function flipByte(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    const { size } = await handle.stat();
    const at = Math.floor(size / 2);
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, at);
    await handle.write(Buffer.of((byte[0] ?? 0) ^ 0x55), 0, 1, at);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
