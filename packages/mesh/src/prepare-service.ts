import { type Attested, attestedAs } from "./attestation-variants.ts";
import type { Findings, Place } from "./diagnostic.ts";
import { parseManifestYaml } from "./manifest-yaml.ts";
import type { MeshContext, MeshImage } from "./mesh-inputs.ts";
import type { MeshService } from "./mesh-manifest.ts";
import { type BuiltIns, serviceScope } from "./mesh-variables.ts";
import { isPlainMapping, type PlainValue, toPlainValue } from "./plain-value.ts";
import { neededReference, REFERENCE_KINDS, type ReferenceKind } from "./reference-values.ts";
import { expandConditions, renderNode } from "./render-template.ts";
import type { ServiceSecrets } from "./resolve-imports.ts";
import { casServiceName, objectName, pinnedReference } from "./resource-name.ts";
import { readSecretDefinition, readSecretImport, type SecretDefinition, type SecretImport } from "./secret-definition.ts";
import type { UsableSecret } from "./secret-graph.ts";
import { SECRET_KINDS } from "./secret-reference.ts";
import { type Declaration, readDeclarations, reportDuplicateSecrets } from "./service-manifest.ts";
import { child } from "./service-policy.ts";
import type { VariableScope } from "./variable-scope.ts";

/** One service of a mesh with its names, variables and secrets, before imports are resolved. */
export interface PreparedService {
  readonly name: string;
  readonly at: Place;
  readonly image: MeshImage;
  /** `repository:tag@digest`. */
  readonly pinnedImage: string;
  readonly policy: string;
  readonly casServiceName: string;
  readonly serviceId: string;
  /** Host name; without a release the part behind `<release>-`. */
  readonly objectName: string;
  readonly declarations: readonly Declaration[];
  readonly scope: VariableScope;
  readonly builtIns: BuiltIns;
  readonly secrets: ServiceSecrets;
  /** Imports that name a policy themselves: they stay as they are. */
  readonly explicitImports: readonly PlainValue[];
  readonly explicitUsable: readonly UsableSecret[];
  /** How its policy recognises the image, and the previous version that must keep running. */
  readonly attested: Attested;
  readonly stableAttested: Attested | undefined;
  /** Value of `APP_SERVICE_PORT`: a port that the mesh's author names is meant for users. */
  readonly appServicePort: string | undefined;
}

export function prepareService(service: MeshService, context: MeshContext, findings: Findings): PreparedService | undefined {
  const { mesh, inputs, namespace, casNames, cas } = context;
  const image = inputs.images.get(service.name);
  if (image === undefined) {
    findings.add(service.image.at, "E-META-MISSING", `the image ${service.image.text} has no metadata`, {
      expected: "an image built by a manifest of kind genservice, or image_policy, image_secrets, helm_chart and env for it",
    });
    return undefined;
  }
  if (image.service.mode !== inputs.mode && image.service.mode === "debug") {
    findings.add(service.image.at, "E-MODE-MISMATCH", `the image was built in debug mode, the mesh is applied in ${inputs.mode} mode`, {
      expected: "the same mode for both",
    });
  }
  const policy = `${namespace}/${service.name}`;
  const casService = casServiceName(image.service.command);
  const name = objectName(inputs.release, service.name);
  if (inputs.release !== undefined && name.length > 63)
    findings.add(service.at, "E-NAME-LENGTH", `the name ${name} has ${name.length} characters`, {
      expected: "at most 63 characters together",
    });
  const declarations = readEnvironment(service, image, findings);
  const builtIns: BuiltIns = {
    ...casNames,
    service_name: inputs.release === undefined ? "" : name,
    image_name: pinnedReference(image.reference, image.digest),
    namespace,
    session: policy,
    cas_service_name: casService,
    command: image.service.command[0] ?? "",
    predecessor: "~",
    CREATOR: inputs.client.keyHash,
    SIGNER: inputs.client.signer,
    SESSION_CREATOR: `signer: ${inputs.client.signer}`,
    "vouchsafe.service": service.name,
    cas_url: cas.host,
  };
  const scope = serviceScope({ service: service.name, mesh, declarations, builtIns, release: inputs.release });
  const read = readSecrets(service, image, scope, findings);
  const workload = { imageDigest: image.digest, fileSystemTag: image.service.fileSystem?.tag ?? "" };
  const { stable } = image.service;
  const attested = attestedAs(workload, context.evidence, mesh.policy.references, inputs.codeIdentity);
  const missing = unprovable(context, attested);
  if (missing.length > 0) {
    findings.add(
      service.image.at,
      "E-EVIDENCE",
      `what ${service.name} must have been launched from is not known for evidence of kind ${missing.join(", ")}`,
      {
        expected: missing.map((kind) => neededReference(kind)).join("; ") || "another kind of evidence",
        hint: "where no TEE exists, accept evidence of the node agent (--evidence node), or try it with the software platform (--evidence simulated:tdx)",
      },
    );
  }
  checkDeclarations(service.name, declarations, scope, findings);
  return {
    name: service.name,
    at: service.at,
    image,
    pinnedImage: pinnedReference(image.reference, image.digest),
    policy,
    casServiceName: casService,
    serviceId: `${policy}/${casService}`,
    objectName: name,
    declarations,
    scope,
    builtIns,
    secrets: { service: service.name, policy, definitions: read.definitions, imports: read.imports },
    explicitImports: read.explicit,
    explicitUsable: read.usable,
    attested,
    stableAttested:
      stable === undefined
        ? undefined
        : attestedAs(
            { imageDigest: stable.digest, fileSystemTag: stable.fileSystemTag ?? "" },
            context.evidence,
            mesh.policy.references,
            inputs.codeIdentity,
          ),
    appServicePort: scope.has("APP_SERVICE_PORT") ? scope.value("APP_SERVICE_PORT", service.at, findings) : undefined,
  };
}

/** Kinds that were asked for and that nothing can be compared with; where none was named, all of them when no other is left. */
function unprovable({ evidence, isEvidenceNamed }: MeshContext, { identities }: Attested): readonly ReferenceKind[] {
  const missing = REFERENCE_KINDS.filter((kind) => evidence.kinds.includes(kind) && !identities.has(kind));
  return isEvidenceNamed || identities.size === 0 ? missing : [];
}

/** Where a file of an image or of the mesh is, for findings. */
const shown = (service: MeshService, given: { readonly text: string } | undefined, file: string): string =>
  given?.text ?? `${service.image.text}:/vouchsafe/mesh/${file}`;

function readEnvironment(service: MeshService, image: MeshImage, findings: Findings): Declaration[] {
  const text = image.overrides.environment ?? image.files.get("env.yaml") ?? "[]";
  const file = shown(service, service.env, "env.yaml");
  if (/^(?:\s*#[^\n]*\n)*\s*\[\s*\]\s*$/.test(text)) return [];
  const node = parseManifestYaml(text, file, findings, "any");
  if (node?.kind !== "list") {
    if (node !== undefined) findings.add(node.at, "E-FIELD-TYPE", "the file holds no list", { expected: "a list of name and value" });
    return [];
  }
  return readDeclarations(node.items, new Map(), {}, findings);
}

interface ReadSecrets {
  readonly definitions: readonly SecretDefinition[];
  readonly imports: readonly SecretImport[];
  readonly explicit: readonly PlainValue[];
  readonly usable: readonly UsableSecret[];
}

/** The secrets template, rendered: own definitions, imports for the mesh to resolve, imports that name a policy. */
function readSecrets(service: MeshService, image: MeshImage, scope: VariableScope, findings: Findings): ReadSecrets {
  const template = image.overrides.secrets ?? image.files.get("secrets.yaml.template") ?? "[]";
  const text = expandConditions(template, (name) => (scope.has(name) ? scope.value(name, service.at, findings) !== "" : undefined));
  const file = shown(service, service.imageSecrets, "secrets.yaml.template");
  const nothing: ReadSecrets = { definitions: [], imports: [], explicit: [], usable: [] };
  if (text.replace(/^\s*#.*$/gm, "").trim() === "") return nothing;
  const node = parseManifestYaml(text, file, findings, "any");
  if (node === undefined) return nothing;
  if (node.kind !== "list") {
    findings.add(node.at, "E-FIELD-TYPE", `${file} is a ${node.kind}`, { expected: "a list of secrets" });
    return nothing;
  }
  const definitions: SecretDefinition[] = [];
  const imports: SecretImport[] = [];
  const explicit: PlainValue[] = [];
  const usable: UsableSecret[] = [];
  for (const item of node.items) {
    const rendered = renderNode(item, scope, findings);
    if (rendered?.kind !== "mapping") {
      if (rendered !== undefined)
        findings.add(rendered.at, "E-FIELD-TYPE", "an item is no secret", { expected: "a mapping with name and kind" });
      continue;
    }
    const imported = child(rendered, "import");
    if (imported !== undefined && child(imported, "session") === undefined && child(imported, "cas") === undefined) {
      const name = rendered.entries.find(({ key }) => key === "name");
      const inner = imported.kind === "mapping" ? imported.entries : [];
      const item = readSecretImport({ ...rendered, entries: [...(name === undefined ? [] : [name]), ...inner] }, findings);
      if (item !== undefined) imports.push(item);
    } else if (imported !== undefined) {
      const plain = toPlainValue(rendered);
      const kind = SECRET_KINDS.find((each) => isPlainMapping(plain) && each === plain["kind"]);
      explicit.push(plain);
      if (isPlainMapping(plain)) usable.push({ name: String(plain["name"]), kind });
    } else {
      const isLocal = child(rendered, "local") !== undefined;
      const definition = readSecretDefinition({ ...rendered, entries: rendered.entries.filter(({ key }) => key !== "local") }, findings, {
        isLocal,
        isFull: true,
      });
      if (definition === undefined) continue;
      if (definition.exportsToNamespace)
        findings.add(definition.at, "W-EXPORT-NAMESPACE", `the secret ${definition.name} is exported to a whole namespace`);
      definitions.push(definition);
    }
  }
  reportDuplicateSecrets(definitions, findings);
  return { definitions, imports, explicit, usable };
}

/** Every declared variable has a value, also one that nothing mentions (MF-19). */
function checkDeclarations(service: string, declarations: readonly Declaration[], scope: VariableScope, findings: Findings): void {
  for (const { name, at } of declarations) {
    if (scope.has(name)) scope.value(name, at, findings);
    else
      findings.add(at, "E-VAR-UNDEFINED", `the variable ${name} of ${service} has no value`, {
        expected: `a value for ${name} in the mesh's env, in section global or ${service}`,
      });
  }
}
