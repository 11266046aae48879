import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { test } from "node:test";
import { CasClient, ProtocolError } from "@vouchsafe/protocol";
import { createTestClient } from "../../packages/cas/src/testing/test-cas.ts";
import { signImage } from "../../packages/image/src/testing/sign-image.ts";
import { eventually, isOwnCluster, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";
import { makeDatabaseVolume } from "./database-volume.ts";
import { stepsOf } from "./patient-service.ts";

const NONCE = "00112233445566778899aabbccddeeff";

/* cli.md section 9 on a real cluster: each option that changes a CAS, twice where it may be repeated, and what it refuses. */
test("kubectl provision on a real Kubernetes: every option does what it says, and may be repeated", { timeout: 30 * 60_000 }, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, directory, run, shell, environment } = cluster;
  await preparePlatform(cluster);
  const step = stepsOf(t);
  const { persistence, path } = await makeDatabaseVolume(cluster, "vault");
  const repository = environment["SCONECTL_REPO"] ?? "";
  const image = `${repository}/cas:${environment["VERSION"]}`;
  await writeFile(
    join(directory, "vault.yaml"),
    `apiVersion: services.scone.cloud/v1beta1
kind: CAS
metadata: {name: vault, namespace: ${namespace}}
spec:
  image: ${image}
  imagePullSecrets: [{name: sconeapps}]
  persistence: ${persistence}
  databaseSnapshots: {enabled: true, interval: 1s}
  nonce: ${NONCE}
`,
  );
  const provision = (...argv: readonly string[]) => run("kubectl", "provision", "cas", "vault", "-n", namespace, ...argv);
  /** Whoever uses the cluster and is not the owner. */
  const asStranger = (command: string) => shell(command, { SCONECTL_CAS_CONFIG: join(directory, "stranger") });
  const read = async (field: string) => (await run("kubectl", "-n", namespace, "get", "cas", "vault", "-o", `jsonpath={${field}}`)).trim();
  const refused = (command: Promise<unknown>, says: RegExp) => assert.rejects(command, (error: Error) => says.test(error.message));
  const policies = createTestClient();
  const withClient = async <T>(talk: (client: CasClient) => Promise<T>): Promise<T> => {
    const host = (await run("kubectl", "-n", namespace, "get", "service", "vault", "-o", "jsonpath={.spec.clusterIP}")).trim();
    using client = new CasClient({ host, port: 8081, pin: {}, clientIdentity: policies, timeoutMs: 10_000 });
    return await talk(client);
  };
  const upload = (name: string) => withClient((client) => client.uploadSession(`name: ${namespace}-${name}\nversion: "0.3"\n`));
  const isThere = (name: string) =>
    withClient((client) => client.readSessionHash(`${namespace}-${name}`)).then(
      () => true,
      (error: unknown) => {
        assert(error instanceof ProtocolError, String(error));
        return false;
      },
    );
  let key = "";

  await step("--preprovision-only creates the CAS and shows what its owner needs; nobody owns it yet", async () => {
    const before = await asStranger(`kubectl provision cas vault -n ${namespace} -f vault.yaml --preprovision-only`);
    const token = /provisioning token: ([0-9a-f]{32})/.exec(before)?.[1];
    assert(token !== undefined, before);
    assert.match(await asStranger(`kubectl provision cas vault -n ${namespace} --preprovision-only`), new RegExp(token));
    await refused(asStranger(`kubectl provision cas vault -n ${namespace} --is-provisioned`), /NO[\s\S]*has no owner/);
    await refused(asStranger(`kubectl provision cas vault -n ${namespace} --print-public-keys`), /E-CAS-UNPROVISIONED/);
  });

  await step(
    "CL-46: --postprovision-only makes the holder of the named identity the owner, once and for all, and again is success",
    async () => {
      // An identity made elsewhere: that of this test's client, in a file.
      await run("vouchsafe", "self", "show-key-hash");
      const state = JSON.parse(await readFile(join(environment["SCONECTL_CAS_CONFIG"] ?? "", "config.json"), "utf8"));
      await writeFile(join(directory, "owner.key"), createPrivateKey(state.identity_key).export({ type: "pkcs8", format: "pem" }));
      await shell("openssl req -x509 -key owner.key -subj /CN=owner -days 2 2>/dev/null | cat owner.key - > owner.pem");
      await asStranger(
        `kubectl provision cas vault -n ${namespace} --postprovision-only --postprovision-owner-identity ${join(directory, "owner.pem")}`,
      );
      assert.equal((await provision("--is-provisioned")).trim(), "YES");
      await provision("--postprovision-only");
      await provision("--wait");
      key = await read(".status.keyHash");
      await refused(asStranger(`kubectl provision cas vault -n ${namespace}`), /E-CAS-OWNER[\s\S]*belongs to/);
      await provision("--verify");
      assert.equal(await read(".status.keyHash"), key);
    },
  );

  await step("CL-48, CL-49, CL-51, CL-52: the printed keys are what a shell can read, several at once, whatever VERSION says", async () => {
    const script = `source <(kubectl provision cas vault -n ${namespace} --print-public-keys 2>/dev/null); echo $CAS_KEY $CAS_SESSION_ENCRYPTION_KEY; echo "$CAS_CERT"`;
    assert.match(await shell(script), new RegExp(`^${key} [0-9a-f]{64}\\n-----BEGIN CERTIFICATE-----`));
    const twoAtOnce = [
      provision("--print-public-keys"),
      shell(`kubectl provision cas vault -n ${namespace} --print-public-keys`, { VERSION: "9.9.9" }),
    ];
    for (const printed of await Promise.all(twoAtOnce)) assert.match(printed, new RegExp(`^export CAS_KEY="${key}"\n`));
    assert.match(await provision("--verify"), new RegExp(`is set up: key ${key}`));
    const report = JSON.parse(Buffer.from(await read(".status.dcapReport"), "base64").toString());
    assert.deepEqual([await read(".status.nonce"), JSON.parse(report.statement).nonce], [NONCE, NONCE]);
    assert.equal(await read(".status.attestable"), "No"); // no TEE here, and nothing demands one
    await refused(
      provision("--print-public-keys", "--require-evidence"),
      /E-CAS-ATTESTATION[\s\S]*expected evidence of hardware, found none/,
    );
  });

  let snapshot = "";
  await step("C-77: --local-backup copies the last snapshot here, and the same one only once", async () => {
    await upload("before");
    const uploadedAt = Date.now();
    await eventually("the status shows a snapshot", async () => ((await read(".status.snapshotTimestamp")) === "" ? undefined : true));
    assert.equal(await read(".status.snapshotStatus"), "Ephemeral");
    // One that was taken before the policy was acknowledged may lack it; only a change makes another one.
    let nudges = 0;
    snapshot = await eventually("a snapshot has the policy", async () => {
      const found = (await provision("--local-backup")).trim();
      const [day, time] = basename(found).split("T");
      if (Date.parse(`${day}T${time?.split("Z")[0]?.replaceAll("-", ":")}Z`) > uploadedAt) return found;
      nudges += 1;
      await upload(`nudge-${nudges}`);
      return undefined;
    });
    assert.equal((await provision("--local-backup")).trim().length, snapshot.length);
    assert.deepEqual((await readdir(snapshot)).toSorted(), ["cas.db", "cas.key-store"]);
    for (const name of await readdir(snapshot)) assert.equal((await stat(join(snapshot, name))).mode & 0o777, 0o600);
  });

  if (path !== undefined) {
    await step("a database that is gone: the status says why, and no upgrade goes on without --force", async () => {
      await upload("after");
      await run("kubectl", "-n", namespace, "delete", "pod", "vault-0", "--wait=false");
      for (const name of ["cas.db", "cas.db-wal", "cas.db-shm"]) await rm(join(path, name), { force: true });
      await eventually("the status says it", async () => {
        const seen = await run("kubectl", "-n", namespace, "get", "cas", "vault", "-o", "json");
        return /the key store .* is there but its database .* is missing/.test(seen) && (await read(".status.state")) === "UNHEALTHY"
          ? true
          : undefined;
      });
      await refused(provision("--upgrade", "0.1.1"), /E-CAS-UNHEALTHY[\s\S]*--force/);
    });

    await step("C-77: --cas-database-recovery refuses what is no snapshot of this platform, and says so", async () => {
      await refused(provision("--cas-database-recovery", directory), /E-SNAPSHOT[\s\S]*holds no cas\.db/);
      const ephemeral = run("kubectl", "provision", "cas", "cas", "-n", "scone-system", "--cas-database-recovery", snapshot);
      await refused(ephemeral, /E-SNAPSHOT[\s\S]*no volume that outlives its pod/);
      const foreign = join(directory, "foreign");
      await mkdir(foreign);
      for (const name of await readdir(snapshot)) await run("cp", join(snapshot, name), foreign);
      const keyStore = await readFile(join(foreign, "cas.key-store"), "utf8");
      await writeFile(
        join(foreign, "cas.key-store"),
        keyStore.replaceAll(/"platform":\s*"[0-9a-f]{8}/g, (found) => `${found.slice(0, -8)}00000000`),
      );
      await refused(provision("--cas-database-recovery", foreign), /E-SNAPSHOT[\s\S]*does not start on the snapshot[\s\S]*platform/);
    });

    await step(
      "C-77, C-5: --cas-database-recovery starts the same CAS on the snapshot; what came after it is lost; again is harmless",
      async () => {
        for (let round = 0; round < 2; round++) {
          assert.match(
            await provision("--cas-database-recovery", snapshot),
            new RegExp(`is HEALTHY on the snapshot [\\s\\S]*its key is ${key}`),
          );
          assert.deepEqual([await isThere("before"), await isThere("after")], [true, false]);
        }
        await upload("later");
        await provision();
      },
    );
  }

  if (!isOwnCluster()) {
    await step(
      "--verify-image-signatures: an image is taken when the given key signed it, pinned to its digest, and else nothing changes",
      async () => {
        const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
        await writeFile(join(directory, "cosign.pub"), publicKey.export({ type: "spki", format: "pem" }));
        await writeFile(
          join(directory, "other.pub"),
          createPublicKey(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey).export({ type: "spki", format: "pem" }),
        );
        const unchanged = await read(".spec.image");
        await refused(provision("--verify-image-signatures", "cosign.pub"), /E-IMAGE-SIGNATURE[\s\S]*no signature/);
        const [registry = "", ...rest] = `${repository}/cas`.split("/");
        const login = JSON.parse(await readFile(join(environment["DOCKER_CONFIG"] ?? "", "config.json"), "utf8"));
        const authorization = `Basic ${login.auths[registry].auth}`;
        const head = await fetch(`http://${registry}/v2/${rest.join("/")}/manifests/${environment["VERSION"]}`, {
          headers: { authorization, accept: "application/vnd.oci.image.manifest.v1+json" },
        });
        const digest = head.headers.get("docker-content-digest") ?? "";
        await signImage({ registry, repository: rest.join("/"), digest, authorization }, privateKey);
        await refused(provision("--verify-image-signatures", "other.pub"), /E-IMAGE-SIGNATURE[\s\S]*made by another key/);
        assert.equal(await read(".spec.image"), unchanged);
        for (let round = 0; round < 2; round++) await provision("--verify-image-signatures", "cosign.pub");
        assert.equal(await read(".spec.image"), `${image}@${digest}`);
        const imageId = ["get", "pod", "vault-0", "-o", "jsonpath={.status.containerStatuses[0].imageID}"];
        await eventually("the pod runs the image that is signed", async () =>
          (await run("kubectl", "-n", namespace, ...imageId)).endsWith(digest) ? true : undefined,
        );
      },
    );
  }

  await step(
    "C-78: --upgrade takes the CAS to another version with its key and its policies, and puts back what does not start",
    async () => {
      await run("vouchsafe", "publish", repository, "cas", "--version", "0.1.1");
      for (let round = 0; round < 2; round++)
        assert.match(await provision("--upgrade", "0.1.1"), new RegExp(`its key is ${key} as before`));
      assert.equal(await read(".spec.image"), `${repository}/cas:0.1.1`);
      await refused(provision("--upgrade", "0.0.9"), /E-CAS-UPGRADE[\s\S]*0\.0\.9 is older/);
      await refused(provision("--upgrade", "9.9.9"), /E-CAS-UPGRADE[\s\S]*runs as before/);
      await provision("--verify");
      await refused(asStranger(`kubectl provision cas vault -n ${namespace} --upgrade 0.1.1`), /E-CAS-OWNER/);
      await provision("--verify");
      assert.equal(await read(".spec.image"), `${repository}/cas:0.1.1`);
      assert.equal(await isThere("before"), true);
    },
  );
  return undefined;
});
