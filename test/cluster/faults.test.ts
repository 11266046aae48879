import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient, ProtocolError } from "@vouchsafe/protocol";
import { createTestClient } from "../../packages/cas/src/testing/test-cas.ts";
import { eventually, isOwnCluster, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";
import { killProgram, startPrograms } from "./cluster-programs.ts";
import { type LoadReport, underLoad } from "./load-client.ts";
import { installPatientService, stepsOf } from "./patient-service.ts";

const AGENT_KEY = "/var/lib/vouchsafe/las/agent-key.pem";

test("faults during load on a real Kubernetes: nothing acknowledged is lost, what runs goes on", { timeout: 30 * 60_000 }, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, run, shell } = cluster;
  await preparePlatform(cluster);
  const canary = randomBytes(12).toString("hex");
  const service = await installPatientService(cluster, { secret: `secret-${canary}`, code: `code-${canary}` });
  if (!isOwnCluster()) cluster.atEnd(() => startPrograms(cluster)); // whatever failed: others need what was killed
  const step = stepsOf(t);
  const kubectl = (...argv: readonly string[]) => run("kubectl", "-n", namespace, ...argv);

  /** No request failed; and the load was real. */
  const undisturbed = (what: string, { sent, failures }: LoadReport) => {
    t.diagnostic(`${what}: ${sent} requests, ${failures.length} failed`);
    assert(sent >= 10, `${sent} requests`);
    assert.deepEqual(failures, []);
  };
  /** A further Redis is measured, attested and starts: everything that a new pod needs is there. */
  const newPodStarts = async (name: string) => {
    await service.clone("redis", name, []);
    await kubectl("rollout", "status", `deployment/${name}`, "--timeout=150s");
    await service.removeClone(name);
  };
  const casIsHealthy = () =>
    eventually("the CAS is healthy", async () =>
      (await kubectl("get", "cas", "cas", "-o", "jsonpath={.status.state}")) === "HEALTHY" ? true : undefined,
    );

  await step(
    "hazard I9: the CAS pod is killed while policies are uploaded: the same CAS comes back with every acknowledged one",
    async () => {
      const address = await kubectl("get", "service", "cas", "-o", "jsonpath={.spec.clusterIP}");
      const keyBefore = await kubectl("get", "cas", "cas", "-o", "jsonpath={.status.keyHash}");
      const { certificate, privateKey } = createTestClient();
      const connect = () =>
        new CasClient({
          host: address,
          port: 8081,
          pin: { casKeyHash: keyBefore },
          clientIdentity: { certificate, privateKey },
          timeoutMs: 5_000,
        });
      const acknowledged = new Map<string, string>();
      let isDone = false;
      let refusals = 0;
      const upload = async () => {
        for (let count = 0; !isDone; count++) {
          const name = `${namespace}-load-${count}`;
          const client = connect();
          try {
            acknowledged.set(name, (await client.uploadSession(`name: ${name}\nversion: "0.3"\n`)).hash);
          } catch (error) {
            assert(error instanceof ProtocolError, String(error));
            refusals += 1;
            await sleep(200);
          } finally {
            client.close();
          }
        }
      };
      const report = await underLoad(service.url, async () => {
        const uploading = upload();
        await sleep(2_000);
        await kubectl("delete", "pod", "cas-0", "--force", "--grace-period=0");
        await eventually("uploads were refused, and work again", async () => {
          const before = acknowledged.size;
          await sleep(1_000);
          return refusals > 0 && acknowledged.size > before + 3 ? true : undefined;
        });
        isDone = true;
        await uploading;
      });
      undisturbed("CAS killed", report);
      const client = connect();
      for (const [name, hash] of acknowledged) assert.equal((await client.readSessionHash(name)).hash, hash, name);
      client.close();
      t.diagnostic(`${acknowledged.size} policies acknowledged, ${refusals} uploads refused meanwhile; all are there`);
      await casIsHealthy();
      assert.equal(await kubectl("get", "cas", "cas", "-o", "jsonpath={.status.keyHash}"), keyBefore);
      await newPodStarts("after-cas");
    },
  );

  await step("hazard I10: the node agent is killed, and keeps its key", async () => {
    undisturbed(
      "agent killed",
      await underLoad(service.url, async () => {
        const pods = () => run("kubectl", "-n", "scone-system", "get", "pods", "-l", "app.kubernetes.io/name=las", "-o", "name");
        const before = await pods();
        await run("kubectl", "-n", "scone-system", "delete", "pod", "-l", "app.kubernetes.io/name=las", "--force", "--grace-period=0");
        await eventually("another agent is there", async () =>
          (await pods()).trim() === "" || (await pods()) === before ? undefined : true,
        );
        await agentsAreHealthy();
      }),
    );
    await newPodStarts("after-agent");
  });

  if (!isOwnCluster()) {
    await step("C-91: a node that is new to the CAS is believed without the owner, on the cluster's word", async () => {
      const keyOf = () => run("kubectl", "get", "las", "las", "-o", "jsonpath={.status.nodes.*.publicKey}");
      const before = await keyOf();
      // As on a new machine: no key yet.
      await run("rm", AGENT_KEY);
      await run("kubectl", "-n", "scone-system", "delete", "pod", "-l", "app.kubernetes.io/name=las");
      await eventually("the agent has another key", async () => ((await keyOf()) === before ? undefined : true));
      await agentsAreHealthy();
      await eventually("the CAS believes it", async () =>
        /"NodesEnrolled"/.test(await enrolment()) && /"status":"True"/.test(await enrolment()) ? true : undefined,
      );
      await newPodStarts("on-new-node");
    });

    await step("the API server is killed and comes back", async () => {
      undisturbed(
        "API server killed",
        await underLoad(service.url, async () => {
          await killProgram("kube-apiserver");
          await sleep(5_000);
          await startPrograms(cluster);
        }),
      );
      await newPodStarts("after-api");
    });

    await step("the node's container runtime is killed and comes back", async () => {
      undisturbed(
        "containerd killed",
        await underLoad(service.url, async () => {
          await killProgram("containerd");
          await sleep(5_000);
          await startPrograms(cluster);
        }),
      );
      await newPodStarts("after-runtime");
    });

    await step("the registry is away: new pods wait and say why, and start when it is back", async () => {
      undisturbed(
        "registry away",
        await underLoad(service.url, async () => {
          await killProgram("registry");
          await service.clone("redis", "no-registry", [
            { op: "replace", path: "/spec/template/spec/containers/0/imagePullPolicy", value: "Always" },
          ]);
          await eventually("the event says it", async () =>
            /Failed: .*(?:refused|dial)/.test((await service.said("no-registry")).events) ? true : undefined,
          );
          await assert.rejects(
            run("vouchsafe", "doctor", "--cluster", "--quiet", "-n", namespace, "--cas-namespace", namespace),
            /cannot pull/,
          );
          await startPrograms(cluster);
        }),
      );
      await kubectl("rollout", "status", "deployment/no-registry", "--timeout=150s");
      await service.removeClone("no-registry");
    });
  }

  if (!isOwnCluster()) {
    await step("the cluster's name service is away: the doctor says so, and is content when it is back", async () => {
      const doctor = ["doctor", "--cluster", "-n", namespace, "--cas-namespace", namespace];
      await killProgram("coredns");
      try {
        await assert.rejects(run("vouchsafe", ...doctor), /DNS in the cluster[^\n]*kubernetes\.default\.svc/);
      } finally {
        await startPrograms(cluster); // whatever the doctor said, what follows needs names
      }
      await eventually("names resolve again", async () => /DNS in the cluster/.test(await run("vouchsafe", ...doctor)) || undefined);
    });
  }

  await step("the operator that leads is killed: another one takes over and carries policies to the CAS", async () => {
    const holder = async () =>
      run("kubectl", "-n", "scone-system", "get", "lease", "vouchsafe-operator", "-o", "jsonpath={.spec.holderIdentity}");
    const before = await eventually("an operator leads", async () => (await holder()) || undefined);
    undisturbed(
      "operator killed",
      await underLoad(service.url, async () => {
        await run("kubectl", "-n", "scone-system", "delete", "pod", before.split("_")[0] ?? "", "--force", "--grace-period=0");
        await eventually("another operator leads", async () => ((await holder()) !== before && (await holder()) !== "" ? true : undefined));
        await kubectl("delete", "epol", "--all");
        await service.installMesh();
        await eventually("the policies are uploaded", async () => {
          const states = (await kubectl("get", "epol", "-o", "jsonpath={.items[*].status.state}")).trim().split(" ");
          return states.length >= 3 && states.every((state) => state === "UPLOADED") ? true : undefined;
        });
      }),
    );
    await newPodStarts("after-operator");
  });

  await step("a new image under load, helm rollback, and back to the former manifest", async () => {
    const imageOf = () => kubectl("get", "deployment", "clinic-flask", "-o", "jsonpath={.spec.template.spec.containers[0].image}");
    const before = await imageOf();
    const revision = (await shell(`helm history clinic -n ${namespace} -o json | jq 'last.revision'`)).trim();
    const isNew = (code: string) => `${code}# the next version\n`;
    const change = async (what: string, build: () => Promise<void>) => {
      const report = await underLoad(service.url, async () => {
        await build();
        await service.installMesh();
        await service.untilReady("flask");
        await eventually("the pod of the former image is gone", async () => {
          const pods = await kubectl("get", "pods", "-l", "app.kubernetes.io/name=flask,app.kubernetes.io/instance=clinic", "-o", "name");
          return pods.trim().split("\n").length === 1 ? true : undefined;
        });
      });
      undisturbed(what, report);
    };
    await change("upgrade", () => service.build(isNew));
    const after = await imageOf();
    assert.notEqual(after, before);

    // The policy in force names the new image: the old one, put back by Helm alone, gets nothing, says so, and replaces nobody.
    const rolledBack = await underLoad(service.url, async () => {
      await run("helm", "rollback", "clinic", revision, "-n", namespace);
      assert.equal(await imageOf(), before);
      await eventually("the old image is refused", async () => {
        const events = await kubectl(
          "get",
          "events",
          "-o",
          'jsonpath={range .items[*]}{.involvedObject.name} {.reason} {.message}{"\\n"}{end}',
        );
        return /clinic-flask\S* StartRefused error: no attestation variant admits the program/.test(events) ? true : undefined;
      });
    });
    undisturbed("rollback without a policy", rolledBack);

    // The same program again; its image is another one all the same, encrypted with new keys.
    await change("back to the former manifest", () => service.build());
    assert.notEqual(await imageOf(), after);
  });

  await step("uninstall leaves nothing behind but the policies", async () => {
    await run("helm", "uninstall", "clinic", "-n", namespace);
    const kinds =
      "pods,deployments,statefulsets,jobs,services,configmaps,secrets,serviceaccounts,networkpolicies,persistentvolumeclaims,ingresses";
    await eventually("everything is gone", async () => {
      const left = await kubectl("get", kinds, "-o", "name", "-l", "app.kubernetes.io/instance=clinic");
      const releases = await kubectl("get", "secrets", "-o", "name", "-l", "owner=helm");
      return left.trim() === "" && releases.trim() === "" ? true : undefined;
    });
    assert.match(await kubectl("get", "epol"), /UPLOADED/);
  });

  async function agentsAreHealthy(): Promise<void> {
    await eventually("the agents are healthy", async () => (/ HEALTHY/.test(await run("kubectl", "get", "las")) ? true : undefined));
  }
  async function enrolment(): Promise<string> {
    return shell(`kubectl -n ${namespace} get cas cas -o json | jq -c '.status.conditions[] | select(.type == "NodesEnrolled")'`);
  }
  return undefined;
});
