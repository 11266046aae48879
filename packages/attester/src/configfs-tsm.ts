import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Evidence, EvidenceKind } from "@vouchsafe/attestation";
import { AttesterError } from "./attester-error.ts";
import type { EvidenceRequest, EvidenceSource } from "./evidence-source.ts";
import { snpEvidence } from "./snp-evidence.ts";

/** Where Linux (6.7 and newer) gives reports of whatever confidential guest it runs in (Documentation/ABI/testing/configfs-tsm-report). */
export const CONFIGFS_TSM = "/sys/kernel/config/tsm/report";
const ATTEMPTS = 5;

const KINDS = new Map<string, EvidenceKind>([
  ["tdx_guest", "tdx"],
  ["sev_guest", "snp"],
]);

/** What one entry gave, of one and the same request. */
export interface TsmReport {
  readonly provider: string;
  readonly outblob: Uint8Array;
  readonly auxblob: Uint8Array | undefined;
}

/** The directory as the kernel offers it; tests put recorded files in its place. */
export interface ReportDirectory {
  readonly exists: (path: string) => boolean;
  readonly make: (path: string) => void;
  readonly remove: (path: string) => void;
  readonly read: (path: string) => Uint8Array;
  readonly write: (path: string, bytes: Uint8Array) => void;
}

const KERNEL: ReportDirectory = { exists: existsSync, make: mkdirSync, remove: rmdirSync, read: readFileSync, write: writeFileSync };

/** Evidence of kind `tdx` or `snp`, as the kernel's provider is. */
export function configfsTsmSource(root = CONFIGFS_TSM, directory: ReportDirectory = KERNEL): EvidenceSource {
  return {
    kinds: ["tdx", "snp"],
    name: root,
    absence: () =>
      directory.exists(root) ? undefined : "there is no such directory; the kernel has no TSM reports, or configfs is not mounted",
    gather: async (request) => evidenceOf(readTsmReport(root, request.userData, directory), request, root),
  };
}

/**
 * One report. Every write of an option counts `generation` up by one: when it is not where this request put it, somebody else wrote to the entry, and
 * what was read may be an answer to them. Throws AttesterError.
 */
export function readTsmReport(root: string, userData: Uint8Array, directory: ReportDirectory = KERNEL): TsmReport {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const entry = join(root, `vouchsafe-${randomUUID()}`);
    const text = (name: string) => new TextDecoder().decode(directory.read(join(entry, name))).trim();
    try {
      directory.make(entry);
      const before = Number(text("generation"));
      directory.write(join(entry, "inblob"), userData);
      const provider = text("provider");
      const outblob = Uint8Array.from(directory.read(join(entry, "outblob")));
      const auxblob = directory.exists(join(entry, "auxblob")) ? Uint8Array.from(directory.read(join(entry, "auxblob"))) : undefined;
      if (Number(text("generation")) === before + 1) return { provider, outblob, auxblob };
    } catch (cause) {
      throw new AttesterError(`${root} gives no report`, {
        cause,
        remedy: "Process 1 of the container must be allowed to make directories there.",
      });
    } finally {
      removeQuietly(entry, directory);
    }
  }
  throw new AttesterError(`${root}: somebody else wrote to the report at each of ${ATTEMPTS} attempts`);
}

function removeQuietly(entry: string, directory: ReportDirectory): void {
  try {
    directory.remove(entry);
  } catch {
    // it was never made, or the kernel keeps it: the next request has one of its own
  }
}

function evidenceOf({ provider, outblob, auxblob }: TsmReport, { workload }: EvidenceRequest, root: string): Evidence {
  const kind = KINDS.get(provider);
  if (kind === "snp") return snpEvidence(outblob, auxblob, workload);
  if (kind === "tdx") return { kind, bytes: outblob, endorsements: new Map(workload === undefined ? [] : [["workload", workload]]) };
  throw new AttesterError(`${root}: reports of the provider ${JSON.stringify(provider.slice(0, 40))} are not supported`, {
    remedy: `Supported are ${[...KINDS.keys()].join(" and ")}.`,
  });
}
