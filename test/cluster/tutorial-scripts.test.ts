import assert from "node:assert/strict";
import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, openCluster, preparePlatform, ROOT, reasonNotToRun } from "./cluster.ts";
import { provideDocker } from "./container-engine.ts";
import { openTutorial, succeeded } from "./tutorial.ts";

/*
 * cli.md section 17, on a real cluster: the scripts of the tutorials as they are (see `tutorials/README.md`), with nothing but SCONECTL_REPO, VERSION
 * and VOUCHSAFE_EVIDENCE exported. Here those that install into the namespace `default` unless they are told otherwise, as their readers do; the others
 * are in `tutorial-meshes.test.ts`, and what breaks the node agents for it in `unhealthy-las.test.ts`.
 */
const FORM =
  "fname=Jane&lname=Doe&address=1 Main Street&city=Richmond&state=Washington&ssn=1&email=a@b.c&dob=01/01/2010&contactphone=1&drugallergies=none&preexistingconditions=none&dateadmitted=01/05/2010&insurancedetails=none";

test("cli.md section 17: the tutorials' scripts run unmodified", { timeout: 40 * 60_000 }, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, directory, repository, environment, run, shell } = cluster;
  await preparePlatform(cluster);
  const docker = await provideDocker(cluster);
  await cluster.addPullSecret("default");
  const flask = await openTutorial("flask", directory, environment, docker);
  await cp(join(ROOT, "examples/patient-records/api.py"), join(flask.directory, "api.py"));
  await cp(join(ROOT, "examples/patient-records/requirements.txt"), join(flask.directory, "requirements.txt"));
  for (const release of ["records", "ward"]) cluster.atEnd(() => run("helm", "uninstall", "-n", "default", release, "--ignore-not-found"));
  const policyNamespace = async () => /"(.*)"/.exec(await readFile(join(flask.directory, "release.sh"), "utf8"))?.[1];
  /** Stores a record and reads it back: another one each time, since a store of the release before may have taken the last and be gone. */
  const assertServes = async (release: string, where = "default") => {
    const address = (await run("kubectl", "-n", where, "get", "service", `${release}-flask`, "-o", "jsonpath={.spec.clusterIP}")).trim();
    const read = await eventually("the service answers", async () => {
      const patient = `https://${address}:4996/patient/p${Date.now()}`;
      await run("curl", "-sSfk", "--max-time", "10", patient, "-d", FORM);
      return run("curl", "-sSfk", "--max-time", "10", patient);
    });
    assert.match(read, /"fname": "Jane"/);
  };
  const step = (name: string, work: () => Promise<void>) => t.test(name, work);
  const images = ["-i", `${repository}/apps`];

  await step(
    "CL-93, CL-94, MF-112: sconecli has its commands on the path, check_cpufeatures runs, both under the tags V and latest",
    async () => {
      const engine = join(docker, "docker");
      const inSconecli = "for name in sconectl scone apply genservice mesh; do command -v $name || exit 1; done; sconectl --version";
      for (const tag of [environment["VERSION"], "latest"]) {
        const image = (name: string) => `${environment["SCONECTL_REPO"]}/${name}:${tag}`;
        assert.match(await run(engine, "run", "--rm", "--quiet", image("sconecli"), "sh", "-c", inSconecli), /mesh\nvouchsafe \d/);
        assert.match(await run(engine, "run", "--rm", "--quiet", image("sconecli"), "apply", "--help"), /--set-version/);
        assert.match(await run(engine, "run", "--rm", "--quiet", image("check_cpufeatures")), /can run the platform/);
      }
    },
  );

  await step(
    "AC-1, CL-74, CL-80, CL-86, CL-88 to CL-92, CL-95 to CL-102, CL-104: run.sh -i REPO --release R -v ends with 0, and the application serves",
    async () => {
      succeeded(await flask.runScript([...images, "--release", "records", "-v"]));
      await assertServes("records");
      assert.match((await policyNamespace()) ?? "", /^records-\d+-\d+$/);
    },
  );

  await step("AC-2, CL-76, CL-79, CL-83: the same again without deleting anything: the policies are updated", async () => {
    const before = await policyNamespace();
    succeeded(await flask.runScript([...images, "--release", "records", "-v"]));
    await assertServes("records");
    assert.equal(await policyNamespace(), before);
  });

  await step("AC-3, CL-81: the same with release.sh kept and target deleted", async () => {
    const before = await policyNamespace();
    await flask.forget("target");
    succeeded(await flask.runScript([...images, "--release", "records", "-v"]));
    await assertServes("records");
    assert.equal(await policyNamespace(), before);
  });

  await step("AC-4: with another release name and release.sh kept: the store's host follows the release", async () => {
    const before = await policyNamespace();
    succeeded(await flask.runScript([...images, "-r", "ward"]));
    await assertServes("ward");
    assert.equal(await policyNamespace(), before);
    assert.match(await run("kubectl", "-n", "default", "get", "service", "ward-redis", "-o", "name"), /ward-redis/);
  });

  await step("AC-5, CL-77: no release first, then one: the policy namespace starts with a hyphen", async () => {
    await flask.forget("release.sh", "target");
    const { status, output } = await flask.runScript(images);
    assert.equal(status, 1, output);
    succeeded(await flask.runScript([...images, "-r", "records"]));
    assert.match((await policyNamespace()) ?? "", /^-\d+-\d+$/);
    await assertServes("records");
  });

  await step("AC-6, CL-78: -n NAMESPACE: the application works there, and the script's wait succeeds with ns exported", async () => {
    await flask.forget("release.sh", "target");
    // The script asks for single pods without a namespace (CL-90), so the context must have it too.
    const kubeconfig = join(directory, "kubeconfig-dev");
    await shell(
      `kubectl config view --raw > ${kubeconfig}; KUBECONFIG=${kubeconfig} kubectl config set-context --current --namespace=${namespace}`,
    );
    succeeded(await flask.runScript([...images, "-r", "records", "-n", namespace], { ns: namespace, KUBECONFIG: kubeconfig }));
    await assertServes("records", namespace);
    // Side by side with the release of the same name in the other namespace, which has policies of its own.
    await assertServes("records");
  });

  await step("AC-7: -d: both applies run in debug mode", async () => {
    const output = succeeded(await flask.runScript([...images, "-r", "ward", "-d"]));
    await assertServes("ward");
    assert.match(await readFile(join(flask.directory, "target/policies/flask.yaml"), "utf8"), /debug-mode/, output);
  });

  await step("AC-8: a CAS that stops before its keys are read: the script fails, the installed release is untouched", async () => {
    const where = ["--cas", "fragile", "--cas-namespace", namespace];
    await run("kubectl", "provision", "cas", "fragile", "-n", namespace);
    await flask.forget("release.sh", "target");
    succeeded(await flask.runScript([...images, "-r", "ward", ...where]));
    // The script may have looked at a pod of the release before, which is ready until it ends (CL-92): the new ones need the CAS to start.
    await assertServes("ward");
    for (const service of ["redis", "flask"])
      await run("kubectl", "-n", "default", "rollout", "status", `deployment/ward-${service}`, "--timeout=180s");
    // Without those of the release before, which may still be ending.
    const staying = '[.items[] | select(.metadata.deletionTimestamp == null) | .metadata.name] | sort | join(" ")';
    const pods = () => shell(`kubectl -n default get pods -l app.kubernetes.io/instance=ward -o json | jq -r '${staying}'`);
    const before = await pods();
    const bin = join(directory, "stop-cas");
    await mkdir(bin);
    const sconectl = join(ROOT, "packages/cli/bin/sconectl");
    const script = `#!/bin/bash\n[ "$3" = mesh.yaml ] || kubectl delete cas fragile -n ${namespace} --wait >&2\nexec ${sconectl} "$@"\n`;
    await writeFile(join(bin, "sconectl"), script);
    await chmod(join(bin, "sconectl"), 0o755);
    const broken = await openTutorial("flask", join(directory, "broken"), environment, bin, docker);
    for (const name of ["api.py", "requirements.txt", "release.sh", "target"])
      await cp(join(flask.directory, name), join(broken.directory, name), { recursive: true });
    const { status, output } = await broken.runScript([...images, "-r", "ward", ...where]);
    assert.equal(status, 1, output);
    assert.match(output, /error\[E-/);
    assert.match(output, /kubectl provision/); // CL-50: the text points at the keys
    assert.equal(await pods(), before);
    await assertServes("ward");
  });

  await step("AC-11, AC-14: the Java tutorial, with chart templates of its own in which keys occur twice, on Java 21 and 17", async () => {
    const java = await openTutorial("java", directory, environment, docker);
    cluster.atEnd(() => run("helm", "uninstall", "-n", "default", "javaapp", "--ignore-not-found"));
    for (const [kind, release] of [
      [undefined, 21],
      ["java17", 17],
    ] as const) {
      succeeded(await java.runScript([...images, "-v"], { JAVA_VERSION: kind }));
      const address = (
        await run("kubectl", "-n", "default", "get", "service", "javaapp-javaapp", "-o", "jsonpath={.spec.clusterIP}")
      ).trim();
      // A quarter of the pod's memory, not of the node's: the virtual machine sees the limit.
      const heap = await eventually("the program answers", async () => {
        const answer = await run("curl", "-sSf", "--max-time", "5", `http://${address}:8080/`);
        return new RegExp(`^javaapp, Java ${release}, key: true, heap: (\\d+)$`, "m").exec(answer)?.[1];
      });
      assert(Number(heap) > 96 && Number(heap) <= 192, heap);
    }
    const inPod = (script: string) => shell(`kubectl -n default exec deployment/javaapp-javaapp -- sh -c '${script}' 2>&1 || true`);
    const bare = await inPod("JAVA_TOOL_OPTIONS=-XshowSettings:vm java -version");
    assert.match(bare, /the node agent refuses: the caller is not the first process of its container/);
    assert.doesNotMatch(bare, /openjdk version|VM settings/);
    assert.match(await inPod("command -v javac jshell keytool || echo none"), /^none$/m);
  });

  return undefined;
});
