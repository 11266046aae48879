import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  type Collateral,
  type Evidence,
  type EvidenceKind,
  type IntelCollateral,
  parsePemCertificates,
  recogniseEvidence,
  VENDOR_TRUST_ANCHORS,
  type VerificationContext,
} from "@vouchsafe/attestation";
import { bundleFileSource, CollateralProvider, collateralFor, memoryFloors } from "@vouchsafe/collateral";
import { CliError } from "../../cli-error.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";

export interface EvidenceInput {
  readonly evidence: Evidence;
  readonly context: VerificationContext;
}

const PARTS = { "azure-hcl": "an HCL report of Azure", "event-log": "an event log", "dstack-event-log": "an event log of dstack" } as const;

/** What verifies a part of evidence. */
const PART_OF = {
  "azure-hcl": "verifyAzureSnpVtpm and verifyAzureTdxVtpm of the library verify it with the vTPM's quote",
  "event-log": "with a TPM's quote it is verified as --with event-log=FILE",
  "dstack-event-log": "verifyDstackEventLog of the library compares it with the registers of a TDX quote",
} as const;

/** Reads the file named as operand, `-` for standard input. */
export async function readEvidenceFile(options: ParsedOptions, shell: Shell): Promise<Uint8Array> {
  const [file = "-"] = options.operands;
  return file === "-" ? shell.readInput() : readNamed(resolve(shell.directory, file));
}

/** Collects evidence, endorsements, trust anchors and time from the command line. */
export async function readEvidenceInput(options: ParsedOptions, shell: Shell): Promise<EvidenceInput> {
  return evidenceInputOf(await readEvidenceFile(options, shell), options, shell);
}

/** The same for evidence that did not come as an operand. */
export async function evidenceInputOf(file: Uint8Array, options: ParsedOptions, shell: Shell): Promise<EvidenceInput> {
  const recognised = recogniseEvidence(file);
  const kind = (givenValue(options, "kind") ?? recognised.format) as EvidenceKind | typeof recognised.format; // the words of the option are the kinds
  if (kind === "azure-hcl" || kind === "event-log" || kind === "dstack-event-log") {
    throw new CliError("E-EVIDENCE", `the file holds ${PARTS[kind]}, which is only a part of evidence`, {
      remedy: `Look at it with evidence inspect; ${PART_OF[kind]}.`,
      isUsage: true,
    });
  }
  const endorsements = new Map([...(recognised.endorsements ?? []), ...(await readEndorsements(options, shell))]);
  const context: VerificationContext = {
    now: readTime(givenValue(options, "at")),
    trustAnchors: { [kind]: await readAnchors(kind, options, shell) },
    collateral: {},
    ...(hasFlag(options, "signatures-only") ? { insecure: "signature-chain-only" as const } : {}),
  };
  const evidence = { kind, bytes: recognised.bytes, endorsements };
  return {
    evidence,
    context: { ...context, collateral: await readCollateral(givenValue(options, "collateral"), evidence, context, shell) },
  };
}

async function readAnchors(kind: EvidenceKind, options: ParsedOptions, shell: Shell): Promise<readonly Uint8Array[]> {
  const files = givenValues(options, "root");
  if (files.length === 0) return VENDOR_TRUST_ANCHORS[kind] ?? [];
  const anchors = await Promise.all(files.map(async (file) => derOf(await readNamed(resolve(shell.directory, file)))));
  return anchors.flat();
}

/** Certificates as DER whatever they came as; a public key in PEM becomes its SubjectPublicKeyInfo. */
function derOf(file: Uint8Array): readonly Uint8Array[] {
  const text = Buffer.from(file).toString("latin1");
  if (text.includes("-----BEGIN CERTIFICATE-----")) return parsePemCertificates(file).map(({ der }) => der);
  const key = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(text)?.[1];
  return [key === undefined ? file : Uint8Array.fromBase64(key)];
}

/** `NAME=FILE`: certificates become DER, except bundles, which stay PEM. */
async function readEndorsements(options: ParsedOptions, shell: Shell): Promise<readonly (readonly [string, Uint8Array])[]> {
  return Promise.all(
    givenValues(options, "with").map(async (pair) => {
      const at = pair.indexOf("=");
      if (at < 1)
        throw new CliError("E-USAGE", `--with ${pair} is not NAME=FILE`, { isUsage: true, remedy: "For example --with signer=ask.pem." });
      const name = pair.slice(0, at);
      const bytes = await readNamed(resolve(shell.directory, pair.slice(at + 1)));
      const [first = bytes] = name === "intermediates" ? [bytes] : derOf(bytes);
      return [name, first] as const;
    }),
  );
}

/** A directory of Intel's documents, or a bundle with those of every vendor. */
async function readCollateral(
  place: string | undefined,
  evidence: Evidence,
  context: VerificationContext,
  shell: Shell,
): Promise<Collateral> {
  if (place === undefined) return {};
  const path = resolve(shell.directory, place);
  if ((await stat(path).catch(() => undefined))?.isFile() !== true) {
    const documents = await readIntelCollateral(path);
    return { intel: () => documents };
  }
  const { now, trustAnchors } = context;
  const sources = [bundleFileSource(path)];
  const provider = new CollateralProvider({ sources, anchors: trustAnchors, floors: memoryFloors(), now: () => now, random: Math.random });
  return collateralFor(provider, evidence, { update: "standard", context });
}

async function readIntelCollateral(directory: string): Promise<IntelCollateral> {
  const names = {
    tcbInfo: "tcb-info.json",
    qeIdentity: "qe-identity.json",
    tcbSigningChain: "tcb-signing-chain.pem",
    qeIdentitySigningChain: "qe-identity-signing-chain.pem",
    pckCrl: "pck-crl.der",
    rootCaCrl: "root-ca-crl.der",
  };
  const present = new Set(await readdir(directory).catch(notReadable(directory)));
  const read = Object.entries(names).filter(([, file]) => present.has(file));
  if (read.length === 0) {
    throw new CliError("E-FILE-MISSING", `${directory} has none of ${Object.values(names).join(", ")}`, {
      remedy: "Name a directory that has them, or a bundle made by vouchsafe collateral bundle.",
    });
  }
  return Object.fromEntries(await Promise.all(read.map(async ([member, file]) => [member, await readNamed(join(directory, file))])));
}

function readTime(text: string | undefined): Date {
  const time = text === undefined ? new Date() : new Date(text);
  if (Number.isNaN(time.getTime())) {
    throw new CliError("E-USAGE", `--at ${JSON.stringify(text)} is not a time`, {
      isUsage: true,
      remedy: "Write it as 2026-11-25T12:00:00Z.",
    });
  }
  return time;
}

async function readNamed(file: string): Promise<Uint8Array> {
  return Uint8Array.from(await readFile(file).catch(notReadable(file)));
}

function notReadable(file: string): (cause: unknown) => never {
  return (cause) => {
    throw new CliError("E-FILE-MISSING", `${file} cannot be read`, { cause, remedy: "Name a file that exists and that you may read." });
  };
}
