import type { Region } from "@vouchsafe/fileshield";
import { ImageError } from "./image-error.ts";

/** What a manifest says about a path and everything below it (manifests section 3.5). */
export interface ProtectionRule {
  /** Absolute, without a trailing slash. */
  readonly path: string;
  readonly protection: Region["protection"];
  /** Where the manifest says so, e.g. `build.dirs`. */
  readonly field: string;
}

const isInside = (path: string, parent: string): boolean => parent === "/" || path === parent || path.startsWith(`${parent}/`);

/** The rule with the longest prefix decides (MF-51). */
function ruleFor(rules: readonly ProtectionRule[], path: string): ProtectionRule | undefined {
  let found: ProtectionRule | undefined;
  for (const rule of rules) if (isInside(path, rule.path) && rule.path.length > (found?.path.length ?? -1)) found = rule;
  return found;
}

/** Protection of a file of the user: what a rule says, else encrypted where the plan encrypts what `copy` brings (MF-59). */
export function protectionOfCode({ encrypt, protection = [] }: ProtectionPlan, path: string): Region["protection"] {
  return ruleFor(protection, path)?.protection ?? (encrypt ? "encrypted" : "authenticated");
}

/** Whether the manifest wants a path encrypted that is no copied file: what `run` makes there is code. */
export const isEncryptedByRule = ({ protection = [] }: ProtectionPlan, path: string): boolean =>
  ruleFor(protection, path)?.protection === "encrypted";

/** The part of a build plan that decides protection. */
export interface ProtectionPlan {
  readonly encrypt: boolean;
  readonly protection?: readonly ProtectionRule[];
}

/** Files of the base and of the requirements are public, so none of them can be made confidential. Throws E-BUILD-FIELD. */
export function refuseEncryptionOfPublicFiles(plan: ProtectionPlan, paths: Iterable<string>): void {
  for (const path of paths) {
    const rule = ruleFor(plan.protection ?? [], path);
    if (rule?.protection !== "encrypted") continue;
    throw new ImageError(
      "E-BUILD-FIELD",
      `${rule.path} is to be encrypted, but ${path} comes from the base or the requirements, which are public`,
      {
        field: rule.field,
        remedy: "Name directories that hold only copied files and files made by build.run; everything else is integrity-protected.",
      },
    );
  }
}
