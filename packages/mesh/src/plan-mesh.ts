import { type CasInstance, casWithRole } from "./cas-section.ts";
import { refuseCentralPoliciesWithoutKey } from "./central-policies.ts";
import { Findings } from "./diagnostic.ts";
import type { EvidenceChoice } from "./evidence-choice.ts";
import { imagePolicyName, refuseImagePoliciesElsewhere } from "./image-policy.ts";
import { POLICY_VERSION } from "./image-templates.ts";
import { parseManifestYaml } from "./manifest-yaml.ts";
import type { MeshInputs } from "./mesh-inputs.ts";
import type { MeshManifest } from "./mesh-manifest.ts";
import type { EvidenceKindName } from "./mesh-record.ts";
import { type BuiltIns, casBuiltIns, refuseReservedNames, reviewVariables, sharedScope } from "./mesh-variables.ts";
import { type PlainMapping, type PlainValue, plainMapping } from "./plain-value.ts";
import { type ChartPlan, planChart } from "./plan-chart.ts";
import { type PreparedService, prepareService } from "./prepare-service.ts";
import { refusePersistence } from "./refuse-persistence.ts";
import { renderServicePolicy } from "./render-service-policy.ts";
import { renderNode } from "./render-template.ts";
import { type ResolvedImport, resolveImports } from "./resolve-imports.ts";
import { policyResourceName } from "./resource-name.ts";
import type { ReadResult } from "./service-manifest.ts";
import { defaultAccess } from "./service-policy.ts";

/** A policy without predecessor: that depends on what the CAS has (MF-100). */
export interface PlannedPolicy {
  readonly name: string;
  readonly service: string | undefined;
  /** Name of the service whose code this policy attests, where that is not the policy of the service itself (MF-89). */
  readonly imageOf?: string;
  readonly resource: string;
  readonly body: PlainMapping;
}
export interface PlannedService {
  readonly prepared: PreparedService;
  readonly chart: ChartPlan;
  readonly codeIdentities: ReadonlyMap<EvidenceKindName, string>;
  readonly publicSecrets: readonly string[];
}
export interface MeshPlan {
  readonly namespace: string;
  readonly release: string | undefined;
  readonly releaseVersion: number;
  readonly mode: "production" | "debug";
  readonly platformVersion: string;
  readonly platformImage: string;
  readonly evidence: EvidenceChoice;
  readonly cas: CasInstance;
  /** In upload order (MF-103). */
  readonly policies: readonly PlannedPolicy[];
  /** In the order of the mesh. */
  readonly services: readonly PlannedService[];
  readonly imports: readonly ResolvedImport[];
  readonly extraValues: PlainMapping;
  /** For the local engine: `CLUSTER_DNS_IP` and `K8sNAMESPACE`. */
  readonly nameService: { readonly address: string | null; readonly namespace: string };
}

/** Kinds that the policy language accepts where a policy names none (SL-86). */
const DEFAULT_EVIDENCE: readonly EvidenceKindName[] = ["sgx", "tdx", "snp", "nitro"];
const WEAK: readonly EvidenceKindName[] = ["tpm", "node", "simulated"];

/** From manifest and images to policies and chart values. Pure: nothing is read, signed, uploaded or written. */
export function planMesh(mesh: MeshManifest, inputs: MeshInputs): ReadResult<MeshPlan> {
  const findings = new Findings();
  const plan = buildPlan(mesh, inputs, findings);
  return { manifest: findings.hasErrors ? undefined : plan, diagnostics: findings.list() };
}

function buildPlan(mesh: MeshManifest, inputs: MeshInputs, findings: Findings): MeshPlan | undefined {
  const namespace = mesh.policy.namespace?.text;
  const cas = casWithRole(mesh.cas, "cas");
  if (namespace === undefined || cas === undefined) return undefined;
  const casNames = casBuiltIns(mesh.cas);
  refuseReservedNames(mesh, casNames, findings);
  refuseUnsupported(mesh, findings);
  refuseImagePoliciesElsewhere(mesh, cas, findings);
  refuseCentralPoliciesWithoutKey(mesh, cas, findings);
  const evidence = acceptedEvidence(mesh, inputs, findings);
  const isEvidenceNamed = (inputs.evidence ?? mesh.policy.evidence) !== undefined;
  const context = { mesh, inputs, namespace, cas, casNames, evidence, isEvidenceNamed };
  const prepared = mesh.services.map((service) => prepareService(service, context, findings)).filter((service) => service !== undefined);
  checkNames(mesh, namespaces(namespace, mesh), prepared, findings);
  if (prepared.length < mesh.services.length) return undefined;
  const sharing = resolveImports(
    prepared.map(({ secrets }) => secrets),
    findings,
  );
  const security = securitySection(mesh, inputs, evidence.kinds);
  const rendered = prepared.map((service) => renderServicePolicy(service, { ...context, sharing, security }, findings));
  const services = planChart(prepared, { ...context, sharing }, findings).map((chart, index): PlannedService | undefined => {
    const service = prepared[index];
    if (service === undefined) return undefined;
    refusePersistence(service, chart, mesh, findings);
    return {
      prepared: service,
      chart,
      codeIdentities: service.attested.identities,
      publicSecrets: service.secrets.definitions.filter(({ exportPublic }) => exportPublic).map(({ name }) => name),
    };
  });
  reviewVariables(
    mesh,
    prepared.map(({ name, declarations, scope, objectName }) => ({ name, declarations, used: scope.used, objectName })),
    inputs.release,
    findings,
  );
  const policies = uploadOrder(prepared, sharing.imports).flatMap((service): PlannedPolicy[] => {
    const body = rendered[prepared.indexOf(service)]?.policy;
    return body === undefined ? [] : [{ name: service.policy, service: service.name, resource: policyResourceName(service.policy), body }];
  });
  const imagePolicies = prepared.flatMap(({ name }, index): PlannedPolicy[] => {
    const body = rendered[index]?.imagePolicy;
    const policy = imagePolicyName(mesh, name);
    return body === undefined || policy === undefined
      ? []
      : [{ name: policy, service: undefined, imageOf: name, resource: policyResourceName(policy), body }];
  });
  const first = prepared[0];
  const shared = (name: string): string | undefined => first?.scope.value(name, first.at, findings);
  return {
    namespace,
    release: inputs.release,
    releaseVersion: inputs.releaseVersion,
    mode: inputs.mode,
    platformVersion: inputs.platformVersion,
    platformImage: inputs.platformImage,
    evidence,
    cas,
    policies: [
      ...namespaces(namespace, mesh).map((name) => namespacePolicy(name, inputs)),
      ...extraPolicies(mesh, inputs, casNames, findings),
      ...imagePolicies,
      ...policies,
    ],
    services: services.filter((service) => service !== undefined),
    imports: sharing.imports,
    extraValues: mesh.extraValues.values,
    nameService: { address: shared("CLUSTER_DNS_IP") || null, namespace: shared("K8sNAMESPACE") ?? "" },
  };
}

/** What this release reads but does not carry out is refused, so that nobody relies on it. */
function refuseUnsupported(mesh: MeshManifest, findings: Findings): void {
  if (mesh.repo?.configId !== undefined)
    findings.add(mesh.repo.at, "E-MODE-UNSUPPORTED", "this release has no confidential signing of images", {
      expected: "repo without config_id; key_file names a key of this machine",
    });
}

/** Central policies of the mesh's author, after the namespace and before the services (MF-103). */
function extraPolicies(mesh: MeshManifest, inputs: MeshInputs, casNames: BuiltIns, findings: Findings): PlannedPolicy[] {
  const scope = sharedScope(
    mesh,
    { ...casNames, namespace: mesh.policy.namespace?.text ?? "", CREATOR: inputs.client.keyHash, SIGNER: inputs.client.signer },
    inputs.release,
  );
  return mesh.extraPolicies.flatMap(({ path, mode }): PlannedPolicy[] => {
    const text = inputs.extraPolicies.get(path.text);
    if (text === undefined || (mode !== undefined && mode !== inputs.mode)) return [];
    const node = parseManifestYaml(text, path.text, findings);
    const rendered = node === undefined ? undefined : renderNode(node, scope, findings);
    if (rendered?.kind !== "mapping") return [];
    const { predecessor: _predecessor, ...given } = plainMapping(rendered);
    const name = given["name"];
    if (typeof name !== "string" || name === "") {
      findings.add(rendered.at, "E-POLICY-TEMPLATE", "the policy has no name", { expected: "name" });
      return [];
    }
    const access = {
      salt: inputs.client.salt(name),
      creator: { signer: inputs.client.signer },
      access_policy: defaultAccess({ reader: inputs.client.keyHash, signer: inputs.client.signer }),
    };
    return [{ name, service: undefined, resource: policyResourceName(name), body: { name, version: POLICY_VERSION, ...access, ...given } }];
  });
}

function acceptedEvidence(mesh: MeshManifest, inputs: MeshInputs, findings: Findings): EvidenceChoice {
  const choice = inputs.evidence ?? mesh.policy.evidence ?? { kinds: DEFAULT_EVIDENCE, simulates: undefined };
  const weak = choice.kinds.filter((kind) => WEAK.includes(kind));
  if (weak.length > 0) {
    findings.add(
      mesh.policy.at,
      "W-EVIDENCE-WEAK",
      `evidence of kind ${weak.join(", ")} is accepted: it does not prove that a program runs in a TEE`,
    );
  }
  return choice;
}

function securitySection(mesh: MeshManifest, { mode }: MeshInputs, evidence: readonly EvidenceKindName[]): PlainMapping {
  const { tolerate, ignoreAdvisories, maa } = mesh.policy;
  const tolerated = mode === "debug" && !tolerate.includes("debug-mode") ? [...tolerate, "debug-mode"] : tolerate;
  const isDefault = evidence.length === DEFAULT_EVIDENCE.length && DEFAULT_EVIDENCE.every((kind) => evidence.includes(kind));
  const attestation: PlainMapping = {
    mode: maa === undefined ? "hardware" : "maa",
    ...(maa === undefined ? {} : { url: maa }),
    ...(tolerated.length === 0 ? {} : { tolerate: [...tolerated] }),
    ...(ignoreAdvisories.length === 0 ? {} : { ignore_advisories: ignoreAdvisories === "*" ? "*" : [...ignoreAdvisories] }),
    ...(isDefault ? {} : { evidence: [...evidence] }),
  };
  return { attestation };
}

/** Namespaces of the mesh's policies: that of the services, and that of image policies where it is another (MF-88, MF-89). */
function namespaces(namespace: string, { policy }: MeshManifest): readonly string[] {
  return [...new Set([namespace, ...(policy.imagePolicyNamespace === undefined ? [] : [policy.imagePolicyNamespace])])];
}

/** MF-88: a policy without services that holds the namespace. */
function namespacePolicy(namespace: string, { client }: MeshInputs): PlannedPolicy {
  const access = defaultAccess({ reader: client.keyHash, signer: client.signer });
  const body: PlainMapping = {
    name: namespace,
    version: "0.3.12",
    salt: client.salt(namespace),
    creator: { signer: client.signer },
    access_policy: { ...access, create_sessions: [{ signer: client.signer }] } as Record<string, PlainValue>, // a mapping of lists
  };
  return { name: namespace, service: undefined, resource: policyResourceName(namespace), body };
}

/** Exporters before importers; ties and circles in the order of the mesh (MF-103). */
function uploadOrder(services: readonly PreparedService[], imports: readonly ResolvedImport[]): PreparedService[] {
  const waiting = [...services];
  const ordered: PreparedService[] = [];
  while (waiting.length > 0) {
    const ready = waiting.findIndex(
      (service) => !imports.some(({ to, from }) => to === service.name && waiting.some(({ name }) => name === from && name !== to)),
    );
    ordered.push(...waiting.splice(Math.max(0, ready), 1));
  }
  return ordered;
}

/** No two policies of a mesh may have one resource name (MF-93). */
function checkNames(mesh: MeshManifest, spaces: readonly string[], services: readonly PreparedService[], findings: Findings): void {
  const seen = new Map<string, string>(spaces.map((name) => [policyResourceName(name), "the namespace"]));
  for (const { policy, name, at } of services) {
    const imagePolicy = imagePolicyName(mesh, name);
    for (const [each, owner] of [
      [policy, name] as const,
      ...(imagePolicy === undefined ? [] : [[imagePolicy, `the image of ${name}`] as const]),
    ]) {
      const resource = policyResourceName(each);
      const other = seen.get(resource);
      if (other !== undefined)
        findings.add(at, "E-NAME-COLLISION", `the policies of ${other} and ${owner} have one resource name, ${resource}`, {
          expected: "names that differ in letters and digits",
        });
      seen.set(resource, owner);
    }
  }
}
