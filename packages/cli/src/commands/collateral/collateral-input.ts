import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  type Evidence,
  EvidenceError,
  type EvidenceKind,
  intelPlatform,
  type Platform,
  parsePemCertificates,
  recogniseEvidence,
  type TrustAnchors,
  VENDOR_TRUST_ANCHORS,
  verifyEvidence,
  verifyQuoteSignatures,
} from "@vouchsafe/attestation";
import {
  AMD_SERVICE,
  amdSource,
  bundleFileSource,
  CollateralProvider,
  collateralFor,
  DiskCache,
  type HttpSourceOptions,
  INTEL_SERVICE,
  intelSource,
  memoryFloors,
  type TcbUpdate,
} from "@vouchsafe/collateral";
import { CliError } from "../../cli-error.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";

/** What the commands of `collateral` work with. */
export interface CollateralTools {
  readonly provider: CollateralProvider;
  readonly anchors: TrustAnchors;
  readonly now: Date;
}

export async function collateralTools(options: ParsedOptions, shell: Shell): Promise<CollateralTools> {
  const { anchors, now } = await collateralTrust(options, shell);
  const ca = givenValue(options, "ca");
  const http: HttpSourceOptions = ca === undefined ? {} : { ca: (await readNamed(resolve(shell.directory, ca))).toString("utf8") };
  const given = (name: string, fallback: string) => {
    const addresses = givenValues(options, name);
    return (addresses.length === 0 ? [fallback] : addresses).map((text) => readAddress(name, text));
  };
  const online = [
    ...given("intel", INTEL_SERVICE).map((url) => intelSource(url, http)),
    ...given("amd", AMD_SERVICE).map((url) => amdSource(url, http)),
  ];
  const bundles = givenValues(options, "bundle").map((file) => bundleFileSource(resolve(shell.directory, file)));
  const provider = new CollateralProvider({
    sources: [...bundles, ...(hasFlag(options, "offline") ? [] : online)],
    anchors,
    floors: memoryFloors(),
    store: await DiskCache.open(cacheDirectory(options, shell)),
    now: () => now,
    random: Math.random,
  });
  return { provider, anchors, now };
}

/** Roots and time, for commands that ask nobody. */
export async function collateralTrust(options: ParsedOptions, shell: Shell): Promise<Pick<CollateralTools, "anchors" | "now">> {
  const roots = await Promise.all(givenValues(options, "root").map((file) => readRoot(resolve(shell.directory, file))));
  const anchors: TrustAnchors = roots.length === 0 ? VENDOR_TRUST_ANCHORS : { sgx: roots.flat(), tdx: roots.flat(), snp: roots.flat() };
  const at = givenValue(options, "at");
  const now = at === undefined ? new Date() : new Date(at);
  if (Number.isNaN(now.getTime())) {
    throw new CliError("E-USAGE", `--at ${JSON.stringify(at)} is not a time`, {
      isUsage: true,
      remedy: "Write it as 2026-11-25T12:00:00Z.",
    });
  }
  return { anchors, now };
}

/** Evidence files, each of a kind whose vendor publishes collateral. */
export async function readEvidenceOperands(options: ParsedOptions, shell: Shell): Promise<readonly Evidence[]> {
  return Promise.all(
    options.operands.map(async (file) => {
      const { format, bytes, endorsements } = recogniseEvidence(Uint8Array.from(await readNamed(resolve(shell.directory, file))));
      if (format === "sgx" || format === "tdx" || format === "snp") {
        return { kind: format satisfies EvidenceKind, bytes, ...(endorsements === undefined ? {} : { endorsements }) };
      }
      throw new CliError("E-EVIDENCE", `${file} holds ${format}: its maker publishes no collateral`, {
        remedy: "Name files of SGX, TDX or SEV-SNP evidence.",
        isUsage: true,
      });
    }),
  );
}

/** Lets the provider find everything that the evidence needs, in both of Intel's sets where a source has them. */
export async function gatherCollateral(evidence: Evidence, { provider, anchors, now }: CollateralTools): Promise<void> {
  const gather = (update: TcbUpdate) => collateralFor(provider, evidence, { update, context: { now, trustAnchors: anchors } });
  await gather("standard");
  if (evidence.kind !== "snp") await gather("early").catch(() => undefined); // a source without the early set
}

/** The platform that evidence comes from: its signatures hold, whatever the collateral says of it. */
export async function platformOf(evidence: Evidence, tools: CollateralTools): Promise<Platform> {
  const { anchors: trustAnchors, now, provider } = tools;
  if (evidence.kind === "sgx" || evidence.kind === "tdx") {
    const pckChain = evidence.endorsements?.get("pck-chain.pem");
    return intelPlatform(
      verifyQuoteSignatures(evidence.bytes, trustAnchors[evidence.kind] ?? [], { now, trustAnchors, collateral: {} }, pckChain),
    );
  }
  const collateral = await collateralFor(provider, evidence, { update: "standard", context: { now, trustAnchors } });
  const { platform } = verifyEvidence(evidence, { now, trustAnchors, collateral });
  if (platform === undefined) throw new EvidenceError("EVIDENCE_MALFORMED", `evidence of kind ${evidence.kind} names no platform`);
  return platform;
}

function cacheDirectory(options: ParsedOptions, shell: Shell): string {
  const given = givenValue(options, "cache");
  if (given !== undefined) return resolve(shell.directory, given);
  const home = shell.environment["HOME"] ?? shell.directory;
  return join(shell.environment["XDG_CACHE_HOME"] ?? join(home, ".cache"), "vouchsafe", "collateral");
}

function readAddress(name: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "https:" || url?.protocol === "http:") return url;
  throw new CliError("E-USAGE", `--${name} ${JSON.stringify(text)} is no address`, {
    isUsage: true,
    remedy: "Write it as https://HOST:PORT.",
  });
}

async function readRoot(file: string): Promise<readonly Uint8Array[]> {
  const bytes = await readNamed(file);
  return bytes.includes("-----BEGIN CERTIFICATE-----") ? parsePemCertificates(bytes).map(({ der }) => der) : [Uint8Array.from(bytes)];
}

async function readNamed(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new CliError("E-FILE-MISSING", `${file} cannot be read`, { cause, remedy: "Name a file that exists and that you may read." });
  });
}
