import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openTutorial } from "../cluster/tutorial.ts";

/** What a stand-in says when it is called; everything else it is asked succeeds silently. */
const ANSWERS: Readonly<Record<string, string>> = {
  docker: 'case "$1" in inspect) exit 1 ;; esac',
  kubectl: `case "$*" in
  "get las" | "get sgxplugin") echo "x HEALTHY 1 1" ;;
  *--output=json) echo '{"status": {"state": "HEALTHY"}}' ;;
  *--print-public-keys) echo 'export CAS_KEY="key" CAS_SESSION_ENCRYPTION_KEY="encryption-key"' ;;
  *items*) echo "$RELEASE-pod" ;;
  *ready*) printf true ;;
esac`,
  helm: "",
  sconectl: "",
};

/** Runs the Flask tutorial's script with programs that only record how they are called. */
async function record(t: TestContext, args: readonly string[], answers: Readonly<Record<string, string>> = {}) {
  const place = await mkdtemp(join(tmpdir(), "vouchsafe-calls-"));
  t.after(() => rm(place, { recursive: true }));
  const bin = join(place, "bin");
  await mkdir(bin);
  for (const [name, answer] of Object.entries({ ...ANSWERS, ...answers })) {
    const script = `#!/bin/bash\nprintf '%s%s %s\\n' "$([ "$1" != provision ] || echo "VERSION=$VERSION ")" ${name} "$*" >>"${place}/calls"\n${answer}\n`;
    await writeFile(join(bin, name), script);
    await chmod(join(bin, name), 0o755);
  }
  const tutorial = await openTutorial("flask", place, { PATH: process.env["PATH"] }, bin);
  const outcome = await tutorial.runScript(args, { SCONECTL_REPO: "reg.example/p", VERSION: "7", CAS_VERSION: "6" });
  const calls = (await readFile(join(place, "calls"), "utf8")).trim().split("\n");
  const read = (name: string) => readFile(join(tutorial.directory, name), "utf8");
  return { ...outcome, calls, read };
}

const PREREQUISITES = [
  "docker run --platform linux/amd64 --rm hello-world",
  "docker run --platform linux/amd64 --rm hello-world",
  "docker pull --platform linux/amd64 reg.example/p/check_cpufeatures:7",
  "docker run --platform linux/amd64 -e SCONE_PRODUCTION=0 -e SCONE_NO_TIME_THREAD=1 --rm reg.example/p/check_cpufeatures:7",
  "kubectl get pods",
  "kubectl get las",
  "kubectl get sgxplugin",
  "kubectl get cas vault-cas -n trust",
  "kubectl get cas vault-cas -n trust --output=json",
  "VERSION=6 kubectl provision cas vault-cas -n trust --is-provisioned",
];
const podsOf = (service: string, release: string) => [
  `kubectl get pods --namespace default -l app.kubernetes.io/name=${service},app.kubernetes.io/instance=${release} -o jsonpath={.items[0].metadata.name}`,
  `kubectl get pod ${release}-pod -o jsonpath={.status.containerStatuses[0].ready}`,
];
const OPTIONS = ["-i", "reg.example/apps", "-r", "clinic", "--cas", "vault-cas", "--cas-namespace", "trust"];

test("AC-12: the calls of the Flask tutorial's script and their order are those of cli.md sections 11.3, 12 and 13", async (t) => {
  const { status, output, calls, read } = await record(t, [...OPTIONS, "-v", "-d", "-n", "dev"]);
  assert.equal(status, 0, output);
  assert.deepEqual(calls, [
    ...PREREQUISITES,
    "docker inspect reg.example/p/sconecli:7",
    "docker pull reg.example/p/sconecli:7",
    "sconectl apply -f service.yaml -vvvvvvvv --mode=debug --set-version 7",
    "VERSION=6 kubectl provision cas vault-cas -n trust --print-public-keys",
    "sconectl apply -f mesh.yaml --release clinic -vvvvvvvv --mode=debug --set-version 7",
    "helm uninstall --namespace dev clinic",
    "helm install --namespace dev clinic target/helm/",
    ...podsOf("redis", "clinic"),
    ...podsOf("flask", "clinic"),
  ]);
  // CL-74: what looks like a variable and belongs to the policy survives; what the script knows is filled in.
  assert.match(await read("service.yaml"), /content: \$\$SCONE::flask\.crt\$\$/);
  const mesh = await read("mesh.yaml");
  assert.match(mesh, /cas_key: key\n.*cas_encryption_key: encryption-key\n.*cas_url: vault-cas\.trust\n/);
  assert.match(mesh, /image: reg\.example\/apps\/patient-records:latest[\s\S]*image: reg\.example\/p\/redis:7/);
  const state = await read("release.sh");
  assert.match(state, /^export APP_NAMESPACE="clinic-\d+-\d+"\n\n$/);
  assert.match(mesh, new RegExp(`namespace: ${/"(.*)"/.exec(state)?.[1]}\n`));
});

test("AC-12: without a release nothing is called, and a policy namespace that starts with a hyphen is kept", async (t) => {
  const place = await mkdtemp(join(tmpdir(), "vouchsafe-calls-"));
  t.after(() => rm(place, { recursive: true }));
  const tutorial = await openTutorial("flask", place, { PATH: process.env["PATH"] });
  const { status, output } = await tutorial.runScript(["-i", "reg.example/apps"]);
  assert.equal(status, 1);
  assert.match(output, /no release/);
  assert.match(await readFile(join(tutorial.directory, "release.sh"), "utf8"), /^export APP_NAMESPACE="-\d+-\d+"\n\n$/);
});

test("AC-12: a failed build ends the script before keys are read; failed keys are not noticed", async (t) => {
  const failedBuild = await record(t, OPTIONS, { sconectl: "exit 1" });
  assert.equal(failedBuild.status, 1);
  assert.match(failedBuild.output, /failed: sconectl apply -f service\.yaml/);
  assert.equal(failedBuild.calls.at(-1), "sconectl apply -f service.yaml --set-version 7");
  const failedKeys = await record(t, OPTIONS, {
    kubectl: `case "$*" in *--print-public-keys) exit 1 ;; esac\n${ANSWERS["kubectl"]}`,
    sconectl: '[ "$3" != mesh.yaml ]',
  });
  assert.equal(failedKeys.status, 1);
  assert.equal(failedKeys.calls.at(-1), "sconectl apply -f mesh.yaml --release clinic --set-version 7");
  assert.match(await failedKeys.read("mesh.yaml"), /cas_key: \n/);
});
