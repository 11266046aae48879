import type { CasInstance } from "./cas-section.ts";
import { casWithRole } from "./cas-section.ts";
import type { Findings } from "./diagnostic.ts";
import { POLICY_VERSION } from "./image-templates.ts";
import type { MeshInputs } from "./mesh-inputs.ts";
import type { MeshManifest } from "./mesh-manifest.ts";
import type { PlainMapping, PlainValue } from "./plain-value.ts";
import type { PreparedService } from "./prepare-service.ts";
import { defaultAccess } from "./service-policy.ts";

/** Secret of an image policy that holds the attestation variants, and its name in the policy of the service. */
export const IMAGE_ATTESTATION = "image_attestation";

/** MF-89: the name of a service's image policy; undefined where the mesh asks for none. */
export const imagePolicyName = ({ policy }: MeshManifest, service: string): string | undefined =>
  policy.imagePolicyNamespace === undefined ? undefined : `${policy.imagePolicyNamespace}/${service}`;

/** The policy that says which code a service may be, and tells it to the service's policy alone (MF-89). */
export function imagePolicy(
  service: PreparedService,
  name: string,
  variants: readonly PlainValue[],
  { client }: Pick<MeshInputs, "client">,
): PlainMapping {
  return {
    name,
    version: POLICY_VERSION,
    salt: client.salt(name),
    creator: { signer: client.signer },
    access_policy: defaultAccess({ reader: client.keyHash, signer: client.signer }),
    secrets: [{ name: IMAGE_ATTESTATION, kind: "config-fragment", value: [...variants], export: [{ session: service.policy }] }],
  };
}

/** What the service's policy takes from its image policy. */
export const imageAttestationImport = (imagePolicy: string): PlainMapping => ({
  name: IMAGE_ATTESTATION,
  kind: "config-fragment",
  import: { session: imagePolicy, secret: IMAGE_ATTESTATION },
});

/** Policies of one mesh are uploaded to one CAS: a role for central or image policies may not lead to another one. */
export function refuseImagePoliciesElsewhere(mesh: MeshManifest, cas: CasInstance, findings: Findings): void {
  const holder = casWithRole(mesh.cas, "image");
  if (mesh.policy.imagePolicyNamespace === undefined || holder === undefined || holder.name === cas.name) return;
  findings.add(holder.at, "E-MODE-UNSUPPORTED", `image policies would go to another CAS, ${holder.name}, than those of the services`, {
    expected: "roles cas and image in one instance",
  });
}
