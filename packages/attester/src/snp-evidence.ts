import { type Evidence, parseSnpCertificateTable } from "@vouchsafe/attestation";

/** A report with what the host gave along: its certificates are left out where it gave none, and are then the CAS's to find. */
export function snpEvidence(report: Uint8Array, table: Uint8Array | undefined, workload: Uint8Array | undefined): Evidence {
  const certificates = table === undefined ? new Map<string, Uint8Array>() : parseSnpCertificateTable(table);
  const named = [
    ["endorsement-key", certificates.get("VCEK") ?? certificates.get("VLEK")],
    ["signer", certificates.get("ASK")],
    ["workload", workload],
  ] as const;
  return {
    kind: "snp",
    bytes: report,
    endorsements: new Map(named.flatMap(([name, bytes]) => (bytes === undefined ? [] : [[name, bytes]]))),
  };
}
