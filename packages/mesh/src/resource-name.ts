import { createHash } from "node:crypto";

/** File and resource name of a policy (MF-92). */
export function policyFileName(policy: string): string {
  const name = policy.toLowerCase().replace(/[_:/.]/g, "-");
  return name.length <= 63 ? name : `${name.slice(0, 54)}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}

/** As above, for Kubernetes: without `-` at the ends. */
export function policyResourceName(policy: string): string {
  const name = policy
    .toLowerCase()
    .replace(/[_:/.~]/g, "-")
    .replace(/^-+|-+$/g, "");
  return name.length <= 63 ? name : `${name.slice(0, 54)}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}

/** Service inside a policy: the program's file name (MF-90). */
export const casServiceName = (command: readonly string[]): string =>
  (command[0] ?? "")
    .split("/")
    .at(-1)
    ?.replace(/[^A-Za-z0-9_.~-]/g, "-") || "program";

/** Object and host name of a service (MF-116). */
export const objectName = (release: string | undefined, service: string): string =>
  (release === undefined ? service : `${release}-${service}`).toLowerCase().replace(/[_.]/g, "-");

/** `repository:tag@digest` (MF-117). */
export const pinnedReference = (reference: string, digest: string): string => `${reference.split("@")[0]}@${digest}`;

/** Name of the copy of an image in the repository that `repo.destination` names: `<destination>/<last component>:<tag>` (manifests section 5.6). */
export function relocatedReference(destination: string, reference: string): string {
  const last = (reference.split("@")[0] ?? "").split("/").at(-1) ?? "";
  const [name = "", tag = "latest"] = last.split(":");
  return `${destination.replace(/\/+$/, "")}/${name}:${tag}`;
}
