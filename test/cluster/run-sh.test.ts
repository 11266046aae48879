import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Outcome, Workspace } from "../acceptance/workspace.ts";
import { eventually, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";

/** README, "On Kubernetes": `./run.sh` where a cluster is configured. */
test("./run.sh installs the example on a cluster, updates it, goes back, and leaves nothing behind", {
  timeout: 40 * 60_000,
}, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, repository, environment, run } = cluster;
  const second = `${namespace}-b`;
  await preparePlatform(cluster);
  await cluster.addNamespace(second);
  const settings: Record<string, string> = {
    PATH: environment.PATH ?? "",
    XDG_CACHE_HOME: environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
    XDG_STATE_HOME: environment["XDG_STATE_HOME"] ?? join(homedir(), ".local/state"),
  };
  for (const name of ["KUBECONFIG", "DOCKER_CONFIG", "SCONECTL_CAS_CONFIG", "SCONECTL_REPO", "VERSION", "VOUCHSAFE_EVIDENCE"])
    settings[name] = environment[name] ?? "";
  const clone = (name: string): Workspace => {
    const workspace = new Workspace(name);
    t.after(() => workspace[Symbol.asyncDispose]());
    return workspace;
  };
  const runScript = (workspace: Workspace, args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> =>
    workspace.run("./run.sh", args, { env: { ...settings, ...env } });
  const succeeded = ({ status, stdout, stderr }: Outcome): string => {
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    return stdout;
  };
  const policyNamespace = async (workspace: Workspace) =>
    /APP_NAMESPACE="(.*)"/.exec(await readFile(join(workspace.root, "release.sh"), "utf8"))?.[1] ?? "";
  const kubectl = (where: string, ...args: readonly string[]) => run("kubectl", "-n", where, ...args);

  /**
   * Does what the script's last lines say: a port-forward, then curl with the certificate that it fetched. Again if the pod that the port-forward had
   * chosen was one on its way out.
   */
  const assertServes = (workspace: Workspace, where: string, release: string, expected: RegExp) =>
    eventually(`${release} serves`, () => serves(workspace, where, release, expected));
  const serves = async (workspace: Workspace, where: string, release: string, expected: RegExp): Promise<true> => {
    const forward: ChildProcess = spawn("kubectl", ["-n", where, "port-forward", `svc/${release}-flask`, ":4996"], { env: environment });
    const said: string[] = [];
    forward.stdout?.on("data", (chunk: Buffer) => said.push(chunk.toString()));
    try {
      const port = await eventually("the port is open", async () => /127\.0\.0\.1:(\d+)/.exec(said.join(""))?.[1]);
      const certificate = join(workspace.root, "target/public/flask/api_ca_cert.pem");
      const curl = (path: string, ...more: readonly string[]) =>
        run("curl", "-sS", "--cacert", certificate, "--resolve", `api:${port}:127.0.0.1`, `https://api:${port}${path}`, ...more);
      const id = `ward-${Date.now()}`;
      const form =
        "fname=Noor&lname=Haddad&address=Mill&city=Ghent&state=OVL&ssn=900-55-0001&email=noor@example.org&dob=1984-11-30&contactphone=1&drugallergies=none&preexistingconditions=none&dateadmitted=2026-02-01&insurancedetails=none";
      await curl(`/patient/${id}`, "-d", form);
      assert.match(await curl(`/patient/${id}`), expected);
      return true;
    } finally {
      forward.kill();
    }
  };

  const one = clone("cluster-one");
  const images = ["-i", `${repository}/apps`];
  const first = [...images, "-n", namespace, "-r", "clinic"];

  await t.test("without an image repository, a repository of the platform, evidence, or the namespace, it says what to do", async () => {
    const refused: [readonly string[], Record<string, string>, RegExp][] = [
      [["-n", namespace], {}, /no image repository is given[\s\S]*\.\/run\.sh -i REPO/],
      [first, { SCONECTL_REPO: "" }, /SCONECTL_REPO is not set[\s\S]*publish/],
      [first, { VOUCHSAFE_EVIDENCE: "" }, /no node of this cluster has a TEE \(evidence: node\)[\s\S]*VOUCHSAFE_EVIDENCE=node/],
      [[...images, "-n", "nowhere"], {}, /the namespace nowhere does not exist[\s\S]*kubectl create namespace nowhere/],
      [[...first, "--cas", "nobody"], {}, /CAS[\s\S]*kubectl provision cas nobody/],
    ];
    for (const [args, env, says] of refused) {
      const { status, stderr } = await runScript(one, args, env);
      assert.equal(status, 1);
      assert.match(stderr, says);
    }
    assert.ok(!existsSync(join(one.root, "target/helm")));
  });

  await t.test("-n NAMESPACE: it ends with the application running, and its curl lines work", async () => {
    const output = succeeded(await runScript(one, first));
    assert.match(output, new RegExp(`kubectl --namespace ${namespace} port-forward svc/clinic-flask 4996:4996`));
    await assertServes(one, namespace, "clinic", /"fname": "Noor"/);
    assert.match(await policyNamespace(one), /^clinic-\d+-\d+$/);
  });

  await t.test("helm test connects to every Service", async () => {
    assert.match(await run("helm", "-n", namespace, "test", "clinic"), /Phase:\s+Succeeded/);
    await eventually("the pods of the test are gone", async () =>
      (await kubectl(namespace, "get", "pods", "-l", "vouchsafe.dev/test=connection", "-o", "name")).trim() === "" ? true : undefined,
    );
  });

  await t.test("the second run keeps the policy namespace and updates the policies", async () => {
    const before = await policyNamespace(one);
    succeeded(await runScript(one, first));
    assert.equal(await policyNamespace(one), before);
    await assertServes(one, namespace, "clinic", /"fname": "Noor"/);
  });

  await t.test("two releases side by side: the store's host name follows the release", async () => {
    succeeded(await runScript(one, [...images, "-n", namespace, "-r", "ward"]));
    await assertServes(one, namespace, "ward", /"fname": "Noor"/);
    assert.match(await readFile(join(one.root, "target/policies/flask.yaml"), "utf8"), /REDIS_HOST: "?ward-redis/);
    const names = await kubectl(namespace, "get", "services", "-o", "name");
    for (const name of ["clinic-redis", "ward-redis", "clinic-flask", "ward-flask"]) assert.match(names, new RegExp(`/${name}\n`));
    await eventually("all four are ready", async () => {
      const ready = await kubectl(namespace, "get", "deployments", "-o", "jsonpath={.items[*].status.readyReplicas}");
      return ready.trim() === "1 1 1 1" ? true : undefined;
    });
  });

  await t.test("another clone and namespace: policies of its own, and an APP_NAMESPACE from outside does not count", async () => {
    const two = clone("cluster-two");
    succeeded(await runScript(two, [...images, "-n", second, "-r", "clinic"], { APP_NAMESPACE: "theirs" }));
    await assertServes(two, second, "clinic", /"fname": "Noor"/);
    assert.notEqual(await policyNamespace(two), await policyNamespace(one));
    assert.notEqual(await policyNamespace(two), "theirs");
    assert.notEqual(
      await readFile(join(two.root, "target/public/flask/api_ca_cert.pem"), "utf8"),
      await readFile(join(one.root, "target/public/flask/api_ca_cert.pem"), "utf8"),
    );
  });

  await t.test(
    "started afresh under the same release: nobody meets pods of the policies before, whose certificates come from another CA",
    async () => {
      const workspace = clone("cluster-afresh");
      const afresh = async () => {
        for (const left of ["release.sh", "target"]) await rm(join(workspace.root, left), { recursive: true, force: true });
        succeeded(await runScript(workspace, [...images, "-n", second, "-r", "afresh"]));
        const chosen = JSON.parse(await kubectl(second, "get", "service", "afresh-redis", "-o", "jsonpath={.spec.selector}"));
        assert.ok(typeof chosen["vouchsafe.dev/policy-id"] === "string");
        return { namespace: await policyNamespace(workspace), id: chosen["vouchsafe.dev/policy-id"] };
      };
      const before = await afresh();
      const oldPods = (await kubectl(second, "get", "pods", "-l", `vouchsafe.dev/policy-id=${before.id}`, "-o", "name")).trim();
      assert.notEqual(oldPods, "");
      const after = await afresh();
      assert.notEqual(after.namespace, before.namespace);
      assert.notEqual(after.id, before.id);
      await assertServes(workspace, second, "afresh", /"fname": "Noor"/);
      const pods = JSON.parse(await kubectl(second, "get", "pods", "-l", "app.kubernetes.io/instance=afresh", "-o", "json")) as {
        items: { metadata: { name: string }; spec: object; status: { containerStatuses?: { restartCount: number }[] } }[];
      };
      const present = pods.items.filter(({ spec }) => JSON.stringify(spec).includes(`${after.namespace}/`));
      assert.ok(present.length >= 2);
      // A busy machine may restart a pod for other reasons.
      for (const { metadata, status } of present) {
        if (status.containerStatuses?.[0]?.restartCount === 0) continue;
        assert.doesNotMatch(await kubectl(second, "logs", metadata.name, "-c", "api", "--previous"), /CERTIFICATE_VERIFY_FAILED/);
      }
      await run("helm", "-n", second, "uninstall", "afresh");
    },
  );

  await t.test("AC-13: an upgrade to a new image that names the old one as stable, and the way back", async () => {
    const app = join(one.root, "examples/patient-records");
    const change = async (file: string, edit: (text: string) => string) =>
      writeFile(join(app, file), edit(await readFile(join(app, file), "utf8")));
    const old = (
      await kubectl(namespace, "get", "deployment", "ward-flask", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    ).trim();
    await change("api.py", (text) => `${text}\n# the second version\n`);
    await change("service.yaml.template", (text) => text.replace("build:\n", `build:\n  stable: ${old}\n`));
    succeeded(await runScript(one, [...images, "-n", namespace, "-r", "ward"]));
    const image = await kubectl(namespace, "get", "deployment", "ward-flask", "-o", "jsonpath={.spec.template.spec.containers[0].image}");
    assert.notEqual(image, old);
    await run("helm", "-n", namespace, "rollback", "ward", "--wait", "--timeout", "300s");
    assert.equal(
      (await kubectl(namespace, "get", "deployment", "ward-flask", "-o", "jsonpath={.spec.template.spec.containers[0].image}")).trim(),
      old,
    );
    await assertServes(one, namespace, "ward", /"fname": "Noor"/);
  });

  await t.test("an uninstall leaves nothing behind but the policies", async () => {
    for (const release of ["clinic", "ward"]) await run("helm", "-n", namespace, "uninstall", release);
    await eventually("all objects are gone", async () => {
      const kinds = "pods,services,deployments,replicasets,serviceaccounts,networkpolicies,secrets,configmaps,persistentvolumeclaims";
      const left = await kubectl(namespace, "get", kinds, "-o", "name");
      const others = left
        .split("\n")
        .filter((name) => name !== "" && !/^(?:secret\/sconeapps|configmap\/kube-root-ca\.crt|serviceaccount\/default)$/.test(name));
      return others.length === 0 ? true : undefined;
    });
    assert.match(await kubectl(namespace, "get", "epol"), /UPLOADED/);
  });
  return undefined;
});
