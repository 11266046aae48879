import { createHmac } from "node:crypto";
import { codeIdentity, NODE_AGENT_MEASUREMENT, type SimulatedKind, simulatedCodeIdentity, type Workload } from "@vouchsafe/attestation";
import { type PolicyResource, planApplicationChart, policyObject } from "@vouchsafe/kubernetes";
import {
  type CasInstance,
  EVIDENCE_WORDS,
  type EvidenceChoice,
  type EvidenceKindName,
  imageDefaults,
  joinEvidence,
  type MeshImage,
  type MeshManifest,
  type MeshPlan,
  type MeshReadOptions,
  meshRecord,
  type PolicyRecord,
  parseEvidenceWord,
  planMesh,
  policyFileName,
  readablePolicy,
  readMeshManifest,
  readNamedFile,
  toYaml,
} from "@vouchsafe/mesh";
import { parseSignedSession } from "@vouchsafe/policy";
import { activePolicies, uploadDocuments } from "../cas-access.ts";
import { openCasConfig } from "../cas-config/cas-config-file.ts";
import { CliError } from "../cli-error.ts";
import { type ClientIdentity, obtainClientIdentity } from "../client-identity.ts";
import { givenValue, hasFlag } from "../command-spec.ts";
import { obtainMeshImages } from "../mesh-images.ts";
import { usage } from "../parse-options.ts";
import { makePolicyDocument, type PolicyDocument } from "../policy-documents.ts";
import { Progress } from "../progress.ts";
import { ExitCode, type Shell } from "../shell.ts";
import { TargetDirectory } from "../target-directory.ts";
import type { ApplyContext } from "./apply-context.ts";
import { renderManifests } from "./render-manifests.ts";

interface MeshOptions {
  readonly release: string | undefined;
  readonly releaseVersion: number;
  readonly evidence: EvidenceChoice | undefined;
  readonly signingUrl: string | undefined;
}

/** `apply` on a mesh manifest: validate, get the images' metadata, plan, sign, encrypt, upload as the CAS mode says, write the chart (CL-27). */
export async function applyMesh(context: ApplyContext): Promise<number> {
  const { shell, report, options, mode } = context;
  const given = meshOptions(context);
  const policyNamespace = givenValue(options, "policy-namespace");
  const maa = givenValue(options, "maa");
  if (maa !== undefined && !maa.startsWith("https://"))
    throw usage("E-MAA-URL", `--maa is ${JSON.stringify(maa)}`, "The URL must start with https://.");
  const readOptions: MeshReadOptions = {
    mode,
    allowUnknownFields: hasFlag(options, "allow-unknown-fields"),
    ...(policyNamespace === undefined ? {} : { policyNamespace }),
    ...(maa === undefined ? {} : { maa }),
  };
  const read = readMeshManifest(context.text, context.file, readOptions);
  report.add(read.diagnostics);
  const mesh = read.manifest;
  if (mesh === undefined) return ExitCode.failed;
  const identity = await obtainClientIdentity(shell);
  const cas = mesh.cas.find(({ name, aliases }) => name === "cas" || aliases.includes("cas"));
  if (cas !== undefined) await checkCasMode(cas, given, shell);
  const target = await TargetDirectory.open(context.target);
  const progress = new Progress(shell, context.level);
  try {
    return await planAndCarryOut(mesh, given, identity, target, progress, context);
  } finally {
    progress.end();
    await target.close();
  }
}

async function planAndCarryOut(
  mesh: MeshManifest,
  given: MeshOptions,
  identity: ClientIdentity,
  target: TargetDirectory,
  progress: Progress,
  context: ApplyContext,
): Promise<number> {
  const { shell, report, options, mode } = context;
  const images = await obtainMeshImages(mesh, { target, noPull: hasFlag(options, "no-pull"), identity, context, progress });
  if (hasFlag(options, "print-defaults")) {
    const defaults = Object.fromEntries(mesh.services.map(({ name }) => [name, imageDefaults(images.get(name))]));
    shell.out(hasFlag(options, "json") ? JSON.stringify(defaults) : toYaml(defaults).trimEnd());
    return ExitCode.ok;
  }
  const planned = planMesh(mesh, {
    images,
    codeIdentity: platformCodeIdentity,
    evidence: given.evidence,
    mode,
    release: given.release,
    releaseVersion: given.releaseVersion,
    platformVersion: context.platformVersion,
    platformImage: `${context.platformRepository}/runtime:${context.platformVersion}`,
    client: { keyHash: identity.keyHash, signer: identity.signer, salt: (policy) => saltOf(identity, policy) },
    extraPolicies: readExtraPolicies(mesh, context),
  });
  report.add(planned.diagnostics);
  const plan = planned.manifest;
  if (plan === undefined) return ExitCode.failed;
  report.refuseWarnings();
  return carryOut(plan, images, target, identity, progress, context);
}

async function carryOut(
  plan: MeshPlan,
  images: ReadonlyMap<string, MeshImage>,
  target: TargetDirectory,
  identity: ClientIdentity,
  progress: Progress,
  context: ApplyContext,
): Promise<number> {
  const { shell, options } = context;
  const isDryRun = hasFlag(options, "dry-run");
  const encryptionKey = plan.cas.encryptionKey ?? (await knownEncryptionKey(plan.cas, shell));
  const active = isDryRun ? new Map() : await activePolicies(plan, shell);
  const documents: PolicyDocument[] = [];
  for (const policy of plan.policies) {
    const name = `session_files/signed_${policyFileName(policy.name)}.json`;
    const earlier = {
      signed: await target.read(name),
      encrypted: await target.read(`session_files/encrypted_${policyFileName(policy.name)}.json`),
    };
    documents.push(makePolicyDocument(policy, earlier, active.get(policy.name) ?? { kind: "unknown" }, identity.signingKey, encryptionKey));
  }
  const record = meshRecord(
    plan,
    documents.map((document) => policyRecord(document, plan.cas.mode)),
  );
  const recordText = `${JSON.stringify(record, null, 2)}\n`;
  const chart = planApplicationChart(plan, chartResources(documents, plan.cas));
  // Before anything is replaced or uploaded: this may fail (CL-28).
  const manifests = givenValue(options, "output") === "yaml" ? await renderManifests(chart, plan.release ?? "release-name") : undefined;
  const isUnchanged = documents.every((document) => document.isUnchanged) && (await target.read("mesh.json")) === recordText;
  await target.replace("session_files", sessionFiles(documents, plan.cas), 0o600);
  for (const { prepared } of plan.services) {
    const body = plan.policies.find(({ service }) => service === prepared.name)?.body;
    if (body !== undefined) await target.write(`policies/${prepared.name}.yaml`, readablePolicy(body));
    await target.replace(`templates/${prepared.name}`, images.get(prepared.name)?.files ?? new Map());
  }
  if (plan.cas.mode === "Upload" && !isDryRun) await progress.run("Policies uploaded", () => uploadDocuments(plan, documents, shell));
  await target.replace("helm", chart);
  if (manifests !== undefined) await target.replace("manifests", manifests);
  await target.write("mesh.json", recordText);
  for (const { planned, hash, isUnchanged: same } of documents)
    progress.detail(1, `policy ${planned.name}: ${hash}${same ? " (unchanged)" : ""}`);
  if (isUnchanged) progress.detail(0, "The application is unchanged: policies and chart are as they were");
  const command = `helm install ${plan.release ?? "RELEASE"} ${context.target === `${shell.directory}/target` ? "target/helm" : target.file("helm")}`;
  shell.out(hasFlag(options, "json") ? JSON.stringify({ ...record, unchanged: isUnchanged, install: command }) : command);
  return ExitCode.ok;
}

function readExtraPolicies(mesh: MeshManifest, { shell, report, sources }: ApplyContext): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const { path } of mesh.extraPolicies) {
    const { manifest, diagnostics } = readNamedFile(path, shell.directory);
    report.add(diagnostics);
    if (manifest === undefined) continue;
    texts.set(path.text, manifest);
    sources.set(path.text, manifest);
  }
  return texts;
}

function meshOptions({ options, shell, report }: ApplyContext): MeshOptions {
  const release = givenValue(options, "release");
  if (release !== undefined && !/^[a-z](?:[a-z0-9.-]{0,51}[a-z0-9])?$/.test(release)) {
    throw usage(
      "E-RELEASE-NAME",
      `${JSON.stringify(release)} is no name of a release`,
      "At most 53 lower-case letters, digits, '-' and '.', starting with a letter, ending with a letter or digit.",
    );
  }
  const version = givenValue(options, "release-version") ?? "1";
  if (!/^[1-9]\d{0,8}$/.test(version))
    throw usage("E-OPTION-VALUE", `--release-version does not take ${JSON.stringify(version)}`, "An integer, 1 or more.");
  const password = givenValue(options, "otp");
  if (password !== undefined) {
    if (!/^\d{4,10}$/.test(password)) throw usage("E-OPTION-VALUE", "--otp takes the digits of a one-time password");
    report.warn("W-OTP", "--otp has no effect: copies of images are signed with a key of this machine (repo.key_file)");
  }
  const evidence = givenValue(options, "evidence") ?? (shell.environment["VOUCHSAFE_EVIDENCE"] || undefined);
  return {
    release,
    releaseVersion: Number(version),
    evidence: evidence === undefined ? undefined : evidenceChoice(evidence),
    signingUrl: givenValue(options, "signing-url"),
  };
}

function evidenceChoice(text: string): EvidenceChoice {
  const words = text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  return joinEvidence(
    words.map((word) => {
      const choice = parseEvidenceWord(word);
      if (choice === undefined)
        throw usage("E-EVIDENCE", `the kind of evidence ${JSON.stringify(word)} is unknown`, `Expected ${EVIDENCE_WORDS.join(", ")}.`);
      return choice;
    }),
  );
}

/** Encryption key of a CAS that this client attested before (C-57). */
async function knownEncryptionKey(cas: CasInstance, shell: Shell): Promise<string | undefined> {
  const { known } = await openCasConfig(shell);
  const found = [...known.values()].find(({ cas_key, address }) =>
    cas.key === undefined ? address === `${cas.host}:${cas.port}` : cas_key === cas.key,
  );
  return found?.session_encryption_key;
}

/** MF-101, MF-106. */
async function checkCasMode(cas: CasInstance, { signingUrl }: MeshOptions, shell: Shell): Promise<void> {
  if (cas.mode === "SignOnline") {
    if (signingUrl === undefined)
      throw new CliError("E-SIGNING-URL", "mode SignOnline needs a signing service", { remedy: "Give --signing-url HOST:PORT." });
    throw new CliError("E-MODE-UNSUPPORTED", "this release has no mode SignOnline", {
      remedy: "Use Upload, SignedManifest, EncryptedManifest, NoUpload or EncryptedOnly.",
    });
  }
  if (signingUrl !== undefined) throw usage("E-OPTION-MODE", `--signing-url goes with mode SignOnline, not with ${cas.mode}`);
  const needsKey = cas.mode === "EncryptedManifest" || cas.mode === "EncryptedOnly" || cas.mode === "NoUpload";
  if (needsKey && cas.encryptionKey === undefined && (await knownEncryptionKey(cas, shell)) === undefined) {
    throw new CliError("E-CAS-ENCKEY", `mode ${cas.mode} needs the encryption key of the CAS ${cas.name}, and none is known`, {
      remedy:
        "Set cas_encryption_key (kubectl provision cas CAS -n NAMESPACE --print-public-keys, or vouchsafe cas show-identification --session-encryption-key), or attest the CAS with this client first.",
    });
  }
}

/** Launch measurements that this release knows: of the node agent and the software platform. The others depend on the guest of the platform. */
function platformCodeIdentity(kind: EvidenceKindName, workload: Workload, simulates: SimulatedKind | undefined): string | undefined {
  if (kind === "simulated" && simulates !== undefined) return simulatedCodeIdentity(simulates, workload);
  return kind === "node" ? codeIdentity(kind, NODE_AGENT_MEASUREMENT, workload) : undefined;
}

/** MF-100: secret, and the same each time. */
const saltOf = (identity: ClientIdentity, policy: string): string =>
  createHmac("sha256", identity.signingKey.export({ type: "pkcs8", format: "der" }))
    .update(`vouchsafe/policy-salt/1\0${policy}`)
    .digest("hex")
    .slice(0, 32);

function policyRecord({ planned, fileName, hash, predecessor, encrypted }: PolicyDocument, mode: CasInstance["mode"]): PolicyRecord {
  return {
    name: planned.name,
    ...(planned.service === undefined ? {} : { service: planned.service }),
    ...(planned.imageOf === undefined ? {} : { imageOf: planned.imageOf }),
    resource: planned.resource,
    hash,
    predecessor,
    ...(mode === "EncryptedOnly" ? {} : { signed: `session_files/signed_${fileName}.json` }),
    ...(encrypted === undefined ? {} : { encrypted: `session_files/encrypted_${fileName}.json` }),
  };
}

function policyResource(
  { planned, signed, encrypted }: PolicyDocument,
  kind: PolicyResource["kind"],
  { host, port }: CasInstance,
): PolicyResource | undefined {
  const casAddress = `https://${host}:${port}`;
  const common = { name: planned.resource, policy: planned.name };
  if (kind === "EncryptedPolicy") {
    if (encrypted === undefined) return undefined;
    const { policy, encryptionKey } = JSON.parse(encrypted) as { policy: string; encryptionKey: string }; // written by encryptSession
    return { ...common, kind, spec: { casAddress, policy, encryptionKey } };
  }
  const session = parseSignedSession(signed);
  const signatures = session.signatures.map(({ signer, signature }) => ({ signer: signer.publicKey, signature: signature.toBase64() }));
  return { ...common, kind, spec: { casAddress, policy: session.policy, signatures } };
}

/** Files of `session_files`, by the CAS mode (manifests section 9). */
function sessionFiles(documents: readonly PolicyDocument[], cas: CasInstance): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const document of documents) {
    const { fileName, signed, encrypted, hash } = document;
    const signedResource = policyResource(document, "SignedPolicy", cas);
    const encryptedResource = policyResource(document, "EncryptedPolicy", cas);
    if (cas.mode !== "EncryptedOnly" && signedResource !== undefined) {
      files.set(`signed_${fileName}.json`, signed);
      files.set(`signed_${fileName}.predecessor`, `${hash}\n`);
      files.set(`signed_manifest_${fileName}.yaml`, toYaml(policyObject(signedResource)));
    }
    if (encrypted === undefined || encryptedResource === undefined) continue;
    files.set(`encrypted_${fileName}.json`, encrypted);
    files.set(`encrypted_manifest_${fileName}.yaml`, toYaml(policyObject(encryptedResource)));
  }
  return files;
}

/** What the chart brings (manifests section 9). */
function chartResources(documents: readonly PolicyDocument[], cas: CasInstance): PolicyResource[] {
  const kind = cas.mode === "EncryptedManifest" ? "EncryptedPolicy" : cas.mode === "SignedManifest" ? "SignedPolicy" : undefined;
  return kind === undefined
    ? []
    : documents.map((document) => policyResource(document, kind, cas)).filter((resource) => resource !== undefined);
}
