import {
  type Claims,
  type Evidence,
  type IntelDocuments,
  type IntelPlatform,
  judgeIntelPlatform,
  parseQuote,
  parseSnpReport,
  type SignedQuote,
  type SnpPlatform,
  type SnpTcb,
  splitSnpTcb,
} from "@vouchsafe/attestation";

/** Whether something can be made better: null where nobody publishes what better would be. */
export interface Improvement {
  readonly improvable: boolean | null;
  /** What to do about it, a sentence each. */
  readonly how: readonly string[];
}

/** What is known of a platform whose evidence holds (C-93); goes through JSON unchanged. */
export interface TcbState {
  readonly family: string;
  /** By the names under which people know them, e.g. `Intel QE ID`; hex in lower case. */
  readonly identifiers: Readonly<Record<string, string>>;
  readonly securityVersions: Readonly<Record<string, number | string | readonly number[]>>;
  readonly status: Claims["tcb"]["status"];
  readonly advisories: readonly string[];
  /** RFC 3339: date of the TCB level that was reached. */
  readonly levelDate: string | null;
  readonly certificate: Improvement & { readonly endsOn: string | null };
  readonly platform: Improvement;
}

/** What is known besides the claims: the quote with its certificate, and Intel's documents, where there are any. */
export interface IntelFacts {
  readonly signed: SignedQuote;
  readonly documents: IntelDocuments | undefined;
}

const FAMILIES = { sgx: "Intel SGX", tdx: "Intel TDX", snp: "AMD SEV-SNP" } as const;
const OTHERS = { nitro: "AWS Nitro", tpm: "TPM 2.0", node: "node agent (proves nothing about hardware)" } as const;

export function tcbState(claims: Claims, evidence: Evidence, intel: IntelFacts | undefined): TcbState {
  const { platform, tcb } = claims;
  const common = { status: tcb.status, advisories: tcb.advisories, levelDate: tcb.date?.toISOString() ?? null };
  if (platform === undefined) return { ...withoutPlatform(claims), ...common };
  const { certifiedUntil: endsOn } = platform;
  if (platform.kind === "snp") {
    const { reported, current, committed } = snpTcbs(evidence, platform);
    return {
      ...{ family: FAMILIES.snp, identifiers: snpIdentifiers(platform), ...common },
      securityVersions: { ...named("reported", reported), ...named("committed", committed), ...named("current", current) },
      certificate: { ...snpCertificate(reported, current), endsOn },
      platform: { improvable: null, how: ["AMD publishes no levels: compare the versions with its newest firmware."] },
    };
  }
  return {
    ...{ family: FAMILIES[platform.kind], identifiers: intelIdentifiers(platform), ...common },
    securityVersions: intelVersions(platform, evidence, intel),
    certificate: { ...pckCertificate(intel?.signed), endsOn },
    platform: intelImprovement(claims, platform, intel?.documents),
  };
}

/** Kinds without a vendor that certifies security versions. */
function withoutPlatform({ kind, platformId, details }: Claims) {
  const family = kind === "simulated" ? `simulated ${details["imitates"]} (DEVELOPMENT ONLY)` : OTHERS[kind as keyof typeof OTHERS];
  const versions = Object.entries(details).filter(([name]) => /^(reportedTcb\.|firmwareVersion$|cpuSvn$|teeTcbSvn$)/.test(name));
  const nothing = { improvable: null, how: [] };
  return {
    ...{ family, identifiers: { platform: platformId }, securityVersions: Object.fromEntries(versions) as TcbState["securityVersions"] },
    ...{ certificate: { ...nothing, endsOn: null }, platform: nothing },
  };
}

const intelIdentifiers = ({ id, fmspc, pceId, authority }: IntelPlatform) => ({
  "Intel QE ID": id.slice(id.indexOf(":") + 1),
  FMSPC: fmspc,
  "PCE ID": pceId,
  "PCK CA": authority,
});

function intelVersions(platform: IntelPlatform, { bytes }: Evidence, intel: IntelFacts | undefined) {
  const { sgxComponents, pceSvn, qeIsvSvn, tdx } = platform;
  return {
    ...{ "SGX components": sgxComponents, PCE: pceSvn, "quoting enclave": qeIsvSvn },
    ...(tdx === undefined ? {} : { "TDX components": tdx.teeTcbSvn }),
    ...(intel === undefined ? {} : { "CPUSVN certified": intel.signed.pck.cpuSvn.toHex() }),
    "CPUSVN running": parseQuote(bytes).qeReport.cpuSvn.toHex(),
  };
}

/** CPUSVNs have no order that anybody publishes: that they differ is all that can be said. */
function pckCertificate(signed: SignedQuote | undefined): Improvement {
  if (signed === undefined) return { improvable: null, how: [] };
  const [certified, running] = [signed.pck.cpuSvn.toHex(), signed.quote.qeReport.cpuSvn.toHex()];
  if (certified === running) return { improvable: false, how: [] };
  return {
    improvable: true,
    how: ["The certificate is for another CPUSVN than the one that runs: fetch the platform's PCK certificate anew, and quote again."],
  };
}

function intelImprovement({ tcb, details }: Claims, platform: IntelPlatform, documents: IntelDocuments | undefined): Improvement {
  if (documents === undefined) return { improvable: null, how: ["Without Intel's documents nothing is known: give --collateral."] };
  const { shortfalls } = judgeIntelPlatform(platform, documents);
  const how = [
    ...shortfalls.map(
      ({ component, found, needed }) => `${component} has ${found}, needs ${needed}: update BIOS, microcode and Intel's enclaves.`,
    ),
    ...(details["relaunchAdvised"] === true ? ["The TDX module is newer than the guest: launch the guest again."] : []),
    ...(/Configuration/.test(tcb.status) ? ["Change the machine's configuration (BIOS settings) as the advisories say."] : []),
    ...(/SWHardening/.test(tcb.status) ? ["Build the program with the mitigations that the advisories name."] : []),
  ];
  return { improvable: how.length > 0, how };
}

const snpIdentifiers = ({ id, product, signingKey }: SnpPlatform) => ({
  ...(id.includes(":") ? { "AMD chip ID": id.slice(id.indexOf(":") + 1) } : { platform: id }),
  product,
  "signing key": signingKey,
});

function snpTcbs({ bytes }: Evidence, { product, reportedTcb: reported }: SnpPlatform) {
  const { currentTcb, committedTcb } = parseSnpReport(bytes);
  return { reported, current: splitSnpTcb(currentTcb, product), committed: splitSnpTcb(committedTcb, product) };
}

const named = (prefix: string, tcb: SnpTcb) =>
  Object.fromEntries(Object.entries(tcb).map(([name, svn]) => [`${prefix} ${name}`, svn as number]));

/** The chip's key is certified for the version that the host lets the firmware report, which may be older than the one that runs. */
function snpCertificate(reported: SnpTcb, current: SnpTcb): Improvement {
  const older = (["fmc", "bootLoader", "tee", "snp", "microcode"] as const).filter((name) => (reported[name] ?? 0) < (current[name] ?? 0));
  return {
    improvable: older.length > 0,
    how: older.map(
      (name) => `${name} runs at ${current[name]} and is reported as ${reported[name]}: have the host commit and report the newer version.`,
    ),
  };
}
