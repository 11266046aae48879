import { X509Certificate } from "node:crypto";
import { nodeKeyHash } from "@vouchsafe/attestation";
import type { CasResource } from "../custom-resources/resources.ts";
import { type ConditionChange, condition, fieldsHonoured } from "./conditions.ts";

/** Fields of section 10.1 that are accepted and have no effect, by name: the CAS serves all the same. */
export function judgeFields({ spec }: CasResource): ConditionChange {
  return fieldsHonoured([
    spec.autoUpdate ? "autoUpdate (its owner upgrades a CAS: kubectl provision --upgrade)" : undefined,
    spec["backup-controller"].session === undefined
      ? undefined
      : "backup-controller.session (the owner allows the cluster to register backups: kubectl provision)",
  ]);
}

/** A CAS that does not belong to the holder of `spec.ownerCertificate`; undefined where it does, or anybody may own it. */
export function judgeOwner({ spec }: CasResource, ownerKeyHash: string | null): ConditionChange | undefined {
  if (spec.ownerCertificate === undefined) return undefined;
  const wanted = ownerOf(spec.ownerCertificate);
  if (wanted === undefined)
    return condition("Provisioned", false, "OwnerCertificate", "spec.ownerCertificate is no certificate in PEM form");
  if (wanted === ownerKeyHash) return undefined;
  return condition(
    "Provisioned",
    false,
    "OtherOwner",
    `the owner is ${ownerKeyHash ?? "nobody"}, and spec.ownerCertificate is that of ${wanted}`,
  );
}

/** Key hash of the owner whom a resource names; undefined where the text is no certificate. */
export function ownerOf(certificate: string): string | undefined {
  try {
    return nodeKeyHash(new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" }));
  } catch {
    return undefined;
  }
}
