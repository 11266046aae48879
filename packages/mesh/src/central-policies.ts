/** Fragments that central policies of an organisation export to the policies of a mesh (manifests section 5.3). */
import { type CasInstance, type CasRole, casWithRole } from "./cas-section.ts";
import type { Findings } from "./diagnostic.ts";
import type { MeshContext } from "./mesh-inputs.ts";
import type { MeshManifest } from "./mesh-manifest.ts";
import type { PlainMapping } from "./plain-value.ts";

interface Fragment {
  /** Name of the fragment, there and here. */
  readonly name: string;
  readonly role: CasRole;
  readonly session: string;
}

function fragmentsOf({ policy }: MeshManifest): readonly Fragment[] {
  const of = (name: string, role: CasRole, session: string | undefined): Fragment[] =>
    session === undefined ? [] : [{ name, role, session }];
  return [
    ...of("attestation", "attestation", policy.attestationPolicyName),
    ...of("security", "security", policy.securityPolicyName),
    ...of("access_policy", "access", policy.accessPolicyName),
  ];
}

/** Imports of the fragments, each from the CAS that has its role (MF-69). */
export function centralFragments({ mesh, cas }: Pick<MeshContext, "mesh" | "cas">): PlainMapping[] {
  return fragmentsOf(mesh).map(({ name, role, session }) => {
    const reference = casReference(casWithRole(mesh.cas, role), cas);
    return { name, kind: "config-fragment", import: { session: session.replace(/^\/+/, ""), secret: name, ...reference } };
  });
}

/** Nothing where it is the policy's own CAS. */
function casReference(holder: CasInstance | undefined, own: CasInstance): { cas_url?: string; cas_key?: string } {
  if (holder?.key === undefined || holder.name === own.name) return {};
  return { cas_url: `${holder.host}:${holder.port}`, cas_key: holder.key };
}

/** A CAS that a policy imports from is known by its key: an address alone authenticates nobody (SL-138). */
export function refuseCentralPoliciesWithoutKey(mesh: MeshManifest, own: CasInstance, findings: Findings): void {
  for (const { name, role, session } of fragmentsOf(mesh)) {
    const holder = casWithRole(mesh.cas, role);
    if (holder === undefined || holder.name === own.name || holder.key !== undefined) continue;
    findings.add(holder.at, "E-CAS-KEY", `the CAS ${holder.name} has no cas_key, and ${name} of policy ${session} comes from there`, {
      expected: "cas_key of that CAS: an address alone authenticates nobody",
    });
  }
}
