import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { simulatedPlatform } from "../../../../cas/src/testing/simulated-platform.ts";
import { startTestCas, type TestCas } from "../../../../cas/src/testing/test-cas.ts";
import { missingForApiServer } from "../../../../kubernetes/src/testing/api-server.ts";
import { casThatSays } from "../../testing/cas-that-says.ts";
import { clusterWithCas } from "../../testing/cluster-with-cas.ts";

const KEYS = /^export CAS_KEY="/;
const OTHER_CODE = "00".repeat(32);

const addressOf = (cas: TestCas) => cas.running.clientAddress;
const codeOf = (notes: string): string => /--mrenclave ([0-9a-f]{64})/.exec(notes)?.[1] ?? assert.fail(notes);

test("section 9, C-64 to C-71: kubectl provision attests the CAS for real before it says or prints anything", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { client, directory } = await clusterWithCas(t);
  const platform = simulatedPlatform(join(directory, "platform"), "tdx");
  const cas = await startTestCas(t, { ownPlatform: platform.platform });
  await cas.client().attest(""); // makes the root
  const root = ["--only_for_testing-simulated-root", platform.rootFile];
  const { ask, home } = client();
  const print = (...argv: string[]) => ask(addressOf(cas), "--print-public-keys", ...argv);
  let code = "";

  await t.test("CL-50: evidence that nobody vouches for, or of code that nobody named, prints nothing", async () => {
    const distrusted = await print();
    assert.deepEqual([distrusted.code, distrusted.out], [1, ""]);
    assert.match(distrusted.notes, /is not trustworthy: the evidence of kind simulated proves nothing/);
    const unnamed = await print(...root);
    assert.deepEqual([unnamed.code, unnamed.out], [1, ""]);
    assert.match(unnamed.notes, /measurement does not match: [0-9a-f]{64}; expected one that you name[\s\S]*accept it with: --mrenclave/);
    code = codeOf(unnamed.notes);
    const other = await print(...root, "--mrenclave", OTHER_CODE);
    assert.deepEqual([other.code, other.out], [1, ""]);
    assert.match(other.notes, new RegExp(`measurement does not match: ${code}; expected ${OTHER_CODE}`));
  });

  await t.test("CL-48: the keys of a CAS that is what was named are printed, with what its evidence proves", async () => {
    const named = await print(...root, "--mrenclave", code);
    assert.equal(named.code, 0, named.notes);
    assert.match(named.out, KEYS);
    assert.match(named.notes, new RegExp(`notice: evidence of kind simulated \\(tdx\\): code identity ${code}, platform .*, UpToDate`));
    assert.match(named.notes, /warning: DEVELOPMENT ONLY: the evidence is simulated/);
  });

  await t.test("C-57: what was accepted once counts again without a word: the tutorial's scripts run unmodified", async () => {
    assert.match((await print()).out, KEYS);
    const asked = await ask(addressOf(cas), "--is-provisioned");
    assert.deepEqual([asked.code, asked.out], [0, "YES"]);
    assert.match(readFileSync(join(home, ".cas", "config.json"), "utf8"), new RegExp(`"mrenclave": \\[\\s*"${code}"`));
  });

  await t.test("--is-provisioned and --verify judge the evidence too", async () => {
    const asked = await ask(addressOf(cas), "--is-provisioned", "--mrenclave", OTHER_CODE);
    assert.deepEqual([asked.code, asked.out], [1, "NO"]);
    assert.match(asked.notes, /measurement does not match/);
    const verified = await ask(addressOf(cas), "--verify", "--mrenclave", OTHER_CODE);
    assert.deepEqual([verified.code, verified.out], [1, ""]);
    assert.match(verified.notes, /measurement does not match/);
  });

  await t.test(
    "--set-tolerations: by default a platform may need configuration, hardening, an update; nothing else, and less where less is said",
    async () => {
      platform.status = "OutOfDateConfigurationNeeded";
      const lenient = await print();
      assert.match(lenient.out, KEYS);
      assert.match(lenient.notes, /warning: the platform of this CAS is accepted although it is OutOfDateConfigurationNeeded/);
      for (const words of ["none", "--accept-sw-hardening-needed", "hardening-needed, configuration-needed"]) {
        const strict = await print("--set-tolerations", words);
        assert.deepEqual([strict.code, strict.out], [1, ""], words);
        assert.match(strict.notes, /platform does not match: OutOfDateConfigurationNeeded; expected UpToDate/);
      }
      assert.match((await print("--set-toleration", "--accept-configuration-needed --accept-group-out-of-date")).out, KEYS);
      platform.status = "Revoked";
      assert.match((await print("--set-tolerations", "-C -G -S")).notes, /the TCB level of the platform is revoked/);
      platform.status = "UpToDate";
    },
  );

  await t.test("SGX_TOLERATIONS says the same as the option, which comes first", async () => {
    platform.status = "OutOfDate";
    const strict = client({ SGX_TOLERATIONS: "none" });
    const given = [...root, "--mrenclave", code, "--print-public-keys"];
    assert.match((await strict.ask(addressOf(cas), ...given)).notes, /platform does not match: OutOfDate; expected UpToDate/);
    assert.match((await strict.ask(addressOf(cas), ...given, "--set-tolerations", "group-out-of-date")).out, KEYS);
    platform.status = "UpToDate";
  });

  await t.test("a CAS that gave evidence once has to give it again", async () => {
    const silent = await startTestCas(t);
    const pinned = await ask(addressOf(silent), "--print-public-keys");
    assert.match(pinned.notes, /CAS key hash is/);
    const renamed = JSON.parse(readFileSync(join(home, ".cas", "config.json"), "utf8"));
    renamed.cas_db["cas.default"].cas_key = silent.running.casKeyHash;
    writeFileSync(join(home, ".cas", "config.json"), JSON.stringify(renamed));
    const downgraded = await ask(addressOf(silent), "--print-public-keys");
    assert.deepEqual([downgraded.code, downgraded.out], [1, ""]);
    assert.match(downgraded.notes, /expected evidence of hardware, found none/);
  });

  await t.test("tests may trust any evidence, by name", async () => {
    const { ask: fresh } = client();
    const any = await fresh(
      addressOf(cas),
      "--print-public-keys",
      "--set-tolerations",
      "--only_for_testing-trust-any --only_for_testing-debug",
    );
    assert.match(any.out, KEYS);
    assert.match(any.notes, /the evidence of this CAS, of kind simulated, is not judged/);
  });
  return undefined;
});

test("section 9: a CAS without evidence is accepted and said so, unless evidence is demanded", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { client, cluster, header } = await clusterWithCas(t);
  const cas = await startTestCas(t);
  const { ask, run, home } = client();
  const plain = await ask(addressOf(cas), "--print-public-keys");
  assert.match(plain.out, KEYS);
  assert.match(
    plain.notes,
    /warning: no TEE protects this CAS: whoever is root on its node can read what it keeps; to refuse that: --require-evidence/,
  );
  for (const demand of [["--require-evidence"], ["--mrenclave", OTHER_CODE]]) {
    const refused = await ask(addressOf(cas), "--print-public-keys", ...demand);
    assert.deepEqual([refused.code, refused.out], [1, ""]);
    assert.match(refused.notes, /expected evidence of hardware, found none/);
  }
  assert.match((await client().ask(addressOf(cas), "--print-public-keys", "--cas-key-hash", "other")).notes, /CAS key hash is/);
  const demanded = await client().ask(addressOf(cas), "--is-provisioned", "--require-evidence");
  assert.deepEqual([demanded.code, demanded.out], [1, "NO"]);
  // Section 9: --target, else TARGET_DIR, is where the identity and what is known lie; NAMESPACE serves where -n does not.
  const elsewhere = client({ TARGET_DIR: join(home, "variable"), NAMESPACE: "default" });
  assert.match(
    (await elsewhere.ask(addressOf(cas), "--print-public-keys")).notes,
    /the namespace default is taken from the variable NAMESPACE/,
  );
  assert.match((await elsewhere.ask(addressOf(cas), "--print-public-keys", "--target", join(home, "option"))).out, KEYS);
  for (const place of ["variable", "option"])
    assert.match(readFileSync(join(home, place, "config.json"), "utf8"), new RegExp(cas.running.casKeyHash));
  // --cas-address without a port: that of the resource.
  await cluster.merge(header, { spec: { service: { clientPort: addressOf(cas).port } } });
  const byResource = await run("provision", "cas", "cas", "--cas-address", addressOf(cas).host, "--is-provisioned");
  assert.deepEqual([byResource.code, byResource.out], [0, "YES"]);
  // The other commands know the CAS that was provisioned, and the file of an earlier version is still read.
  assert.match((await run("cas", "list")).out, /cas\.default: https:\/\/cas\.default:8081/);
  const file = join(home, ".cas", "config.json");
  const { cas_db, ...rest } = JSON.parse(readFileSync(file, "utf8"));
  const { cas_key, cas_software_key, chain, session_encryption_key } = cas_db["cas.default"];
  const former = { url: "https://cas.default:8081", key_hash: cas_key, software_key_hash: cas_software_key, chain, session_encryption_key };
  writeFileSync(file, JSON.stringify({ ...rest, cas_db: { "cas.default": former } }));
  assert.match((await ask(addressOf(cas), "--print-public-keys")).out, KEYS);

  const injected = await casThatSays(t, { databaseKeyInjected: true });
  const [host = "", port] = injected.address.split(":");
  const at = { host, port: Number(port) };
  const fresh = client();
  assert.match(
    (await fresh.ask(at, "--print-public-keys")).notes,
    /database key does not match[\s\S]*--allow-cas-owner-secret-access/,
    "C-69",
  );
  assert.match((await fresh.ask(at, "--print-public-keys", "--allow-cas-owner-secret-access")).out, KEYS);
  return undefined;
});
