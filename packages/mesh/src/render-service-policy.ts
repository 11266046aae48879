import { centralFragments } from "./central-policies.ts";
import type { Findings } from "./diagnostic.ts";
import { IMAGE_ATTESTATION, imageAttestationImport, imagePolicy, imagePolicyName } from "./image-policy.ts";
import { type ManifestNode, parseManifestYaml } from "./manifest-yaml.ts";
import type { MeshContext } from "./mesh-inputs.ts";
import { serviceScope } from "./mesh-variables.ts";
import { isPlainMapping, type PlainMapping, type PlainValue, toPlainValue } from "./plain-value.ts";
import type { PreparedService } from "./prepare-service.ts";
import { expandBlocks, renderNode } from "./render-template.ts";
import { type SecretSharing, usableSecrets } from "./resolve-imports.ts";
import { checkSecretGraph, checkSecretUses } from "./secret-graph.ts";
import { child, completePolicy, listAt, policySecrets, secretUses } from "./service-policy.ts";

export interface PolicyContext extends MeshContext {
  readonly sharing: SecretSharing;
  readonly security: PlainMapping;
}

export interface RenderedPolicies {
  readonly policy: PlainMapping;
  /** Where the mesh keeps image policies apart (MF-89). */
  readonly imagePolicy?: PlainMapping;
}

/** The policies of one service, without predecessors (manifests section 8). */
export function renderServicePolicy(service: PreparedService, context: PolicyContext, findings: Findings): RenderedPolicies | undefined {
  const { mesh, inputs, sharing } = context;
  const usable = usableSecrets(service.secrets, sharing.imports, service.explicitUsable);
  checkSecretGraph(service.name, service.secrets.definitions, usable, findings);
  const secrets = policySecrets(service.secrets, sharing, service.explicitImports);
  const fragments = centralFragments(context);
  const given = mesh.services.find(({ name }) => name === service.name)?.imagePolicy;
  const text = service.image.overrides.policy ?? service.image.files.get("policy.yaml.template");
  const file = given?.text ?? `${service.image.reference}:/vouchsafe/mesh/policy.yaml.template`;
  if (text === undefined) {
    findings.add(given?.at ?? service.at, "E-META-MISSING", `the image ${service.image.reference} brings no policy template`, {
      expected: "policy.yaml.template in the image, or image_policy",
    });
    return undefined;
  }
  const codeIdentities = [...service.attested.identities.values()];
  const signed = (variant: PlainMapping): PlainMapping =>
    variant["mrenclave"] === undefined ? variant : { ...variant, ...enclaveSigner(service) };
  const variants: PlainValue[] = [...service.attested.variants.map(signed), ...(service.stableAttested?.variants ?? [])];
  const imagePolicyOf = imagePolicyName(mesh, service.name);
  const attestation: PlainValue[] = [
    ...(imagePolicyOf === undefined ? variants : [`$$SCONE::${IMAGE_ATTESTATION}$$`]),
    ...(mesh.policy.attestationPolicyName === undefined ? [] : ["$$SCONE::attestation$$"]),
  ];
  const security: PlainValue = mesh.policy.securityPolicyName === undefined ? context.security : "$$SCONE::security$$";
  const lists = builtInLists(service, text, file, secrets, findings);
  const expanded = expandBlocks(text.replaceAll(/\{\{[ \t]*predecessor_key[ \t]*\}\}/g, "predecessor"), lists);
  const structures = new Map<string, PlainValue>([
    ...lists,
    ["attestation", attestation],
    ["security", security],
    ["mrenclave", codeIdentities],
  ]);
  const scope = serviceScope({
    service: service.name,
    mesh,
    declarations: service.declarations,
    builtIns: service.builtIns,
    release: inputs.release,
    structures,
    constants: expanded.constants,
  });
  const node = parseManifestYaml(expanded.text, file, findings);
  const rendered = node === undefined ? undefined : renderNode(node, scope, findings);
  for (const [name, at] of scope.used) if (!service.scope.used.has(name)) service.scope.used.set(name, at);
  if (rendered === undefined) return undefined;
  const used = new Set(
    secretUses(rendered).flatMap(({ text: use, isFile }) => checkSecretUses(service.name, use, isFile, usable, findings)),
  );
  reportUnusedImports(service, sharing, used, text, findings);
  if (mesh.policy.accessPolicyName === undefined && context.cas.mode === "SignedManifest") checkSignedManifest(service, findings);
  const plain = toPlainValue(rendered);
  if (!isPlainMapping(plain)) return undefined;
  const fileSystem = service.image.service.fileSystem;
  const protectedFiles =
    fileSystem === undefined || service.image.codeKey === undefined
      ? undefined
      : {
          path: fileSystem.path,
          key: service.image.codeKey,
          tag: service.image.service.stable === undefined ? fileSystem.tag : undefined,
        };
  if (fileSystem !== undefined && service.image.codeKey === undefined) {
    findings.add(service.at, "E-META-MISSING", `the key of the encrypted program in ${service.image.reference} is not available`, {
      expected: "code.key below target/services, from the build of this image",
      hint: "build the image on this machine, or copy its target/services directory here",
    });
  }
  const policy = completePolicy(
    plain,
    {
      name: service.policy,
      salt: inputs.client.salt(service.policy),
      signer: inputs.client.signer,
      reader: inputs.client.keyHash,
      accessPolicy: mesh.policy.accessPolicyName === undefined ? undefined : "$$SCONE::access_policy$$",
      security: context.security,
      secrets: [...secrets, ...fragments, ...(imagePolicyOf === undefined ? [] : [imageAttestationImport(imagePolicyOf)])],
      attested: imagePolicyOf === undefined ? codeIdentities : [`$$SCONE::${IMAGE_ATTESTATION}$$`],
      fileSystem: protectedFiles,
    },
    rendered.at,
    findings,
  );
  return imagePolicyOf === undefined ? { policy } : { policy, imagePolicy: imagePolicy(service, imagePolicyOf, variants, inputs) };
}

/** The signer of an enclave is required in addition, where the image has one (MF-94). */
function enclaveSigner({ image }: PreparedService): PlainMapping {
  const { enclave, runtimeSettings } = image.service;
  if (enclave === undefined) return {};
  return {
    signer: {
      mrsigner: enclave.mrSigner,
      isvprodid: Number(runtimeSettings["SCONE_ISVPRODID"] ?? "0"),
      isvsvn: Number(runtimeSettings["SCONE_ISVSVN"] ?? "0"),
    },
  };
}

/** The lists of the image's own template, for templates of the user (MF-98). */
function builtInLists(
  service: PreparedService,
  text: string,
  file: string,
  secrets: readonly PlainValue[],
  findings: Findings,
): Map<string, readonly PlainValue[]> {
  const lists = new Map<string, readonly PlainValue[]>([["secrets", secrets]]);
  const own = service.image.files.get("policy.yaml.template");
  if (own === undefined || own === text || !/\{\{[^}]*(?:injection_files|environment|volumes)/.test(text)) {
    for (const name of ["injection_files", "environment", "volumes"]) lists.set(name, []);
    return lists;
  }
  const node = parseManifestYaml(own, file, findings);
  const rendered = node === undefined ? undefined : renderNode(withoutPlatformValues(node), service.scope, findings);
  const image = listAt(rendered, "images")[0];
  const environment = child(listAt(rendered, "services")[0], "environment");
  lists.set("injection_files", listAt(image, "injection_files").map(toPlainValue));
  lists.set(
    "environment",
    environment?.kind === "mapping" ? environment.entries.map(({ key, value }) => ({ name: key, value: toPlainValue(value) })) : [],
  );
  lists.set("volumes", listAt(image, "volumes").map(toPlainValue));
  return lists;
}

/** Only what a program gets: the rest of a template may name structures that are not known yet. */
function withoutPlatformValues(node: ManifestNode): ManifestNode {
  if (node.kind !== "mapping") return node;
  const entries = node.entries.filter(({ key }) => key === "images" || key === "services");
  return {
    ...node,
    entries: entries.map((entry) => ({
      ...entry,
      value:
        entry.value.kind !== "list"
          ? entry.value
          : {
              ...entry.value,
              items: entry.value.items.map((item) =>
                item.kind === "mapping" ? { ...item, entries: item.entries.filter(({ key }) => key !== "attestation") } : item,
              ),
            },
    })),
  };
}

function reportUnusedImports(
  service: PreparedService,
  sharing: SecretSharing,
  used: ReadonlySet<string>,
  template: string,
  findings: Findings,
): void {
  const definitions = service.secrets.definitions;
  for (const { as, item, to } of sharing.imports) {
    if (to !== service.name || used.has(as)) continue;
    const referred = definitions.some(({ privateKey, issuer, signer }) => [privateKey?.text, issuer?.text, signer?.text].includes(as));
    if (!referred && !template.includes(`$$SCONE::${as}`))
      findings.add(item.name.at, "W-IMPORT-UNUSED", `nothing of ${service.name} uses the imported secret ${as}`);
  }
}

/** MF-105: a signed policy can be read by anyone with access to the chart. */
function checkSignedManifest(service: PreparedService, findings: Findings): void {
  if (service.image.service.fileSystem !== undefined) {
    findings.add(
      service.at,
      "E-SIGNED-CODEKEY",
      `the policy of ${service.name} holds the key of its encrypted program, and the chart would show it`,
      {
        expected: "mode: EncryptedManifest, or an image built with encrypt: false",
      },
    );
  }
  for (const { name, hasValue, at, exportPublic } of service.secrets.definitions) {
    if (hasValue && !exportPublic)
      findings.add(at, "W-SIGNED-SECRET", `the value of ${name} can be read by anyone with access to the chart`);
  }
}
