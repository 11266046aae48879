import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { CollateralError, CollateralProvider, collateralFor, DiskCache, memoryFloors, vendorSources } from "@vouchsafe/collateral";
import { CasClient, CasTerms, casTrustAnchors, judgeCasEvidence, ProtocolError, requestCasStatement } from "@vouchsafe/protocol";
import { CasError } from "../cas-error.ts";
import type { CollateralOptions } from "../collateral/cas-collateral.ts";
import { parseAvailabilityConfig, parseListenAddress } from "../config/availability-config.ts";
import { CAS_SOFTWARE } from "../version.ts";

/** What a probe looks at, and what it accepts. */
export interface ProbeOptions {
  readonly address: { readonly host: string; readonly port: number };
  /** JSON of `CasTerms`. */
  readonly termsFile: string;
  /** Where collateral comes from; Intel and AMD unless given. */
  readonly collateral: CollateralOptions | undefined;
}

const TIMEOUT_MS = 15_000;
const DEFAULT_ADDRESS = "127.0.0.1:8081";

/** `cas probe --terms FILE [--config FILE] [--address HOST:PORT]`. Throws CONFIGURATION. */
export async function readProbeOptions(argv: readonly string[]): Promise<ProbeOptions> {
  const wrong = (message: string, cause?: unknown) => new CasError("CONFIGURATION", message, { cause, remedy: "Run with --help." });
  const options = { terms: { type: "string" }, config: { type: "string" }, address: { type: "string" } } as const;
  let values: { readonly terms?: string; readonly config?: string; readonly address?: string };
  try {
    ({ values } = parseArgs({ args: [...argv], options }));
  } catch (cause) {
    throw wrong(cause instanceof Error ? cause.message : "the options cannot be read", cause); // names the option
  }
  const { terms, config, address = DEFAULT_ADDRESS } = values;
  if (terms === undefined) throw wrong("probe needs --terms FILE");
  const collateral = config === undefined ? undefined : parseAvailabilityConfig(await readFile(config, "utf8"), config).collateral;
  return { address: parseListenAddress(address), termsFile: terms, collateral };
}

/**
 * Attests the CAS at an address as the terms want it: statement about a fresh nonce, its key, the evidence. The reasons why it is refused, one a line;
 * undefined when it is accepted. The terms are read each time: they may change while a pod lives.
 */
export async function attestForProbe({ address, termsFile, collateral }: ProbeOptions): Promise<string | undefined> {
  const terms = await readTerms(termsFile);
  const pin = { casKeyHash: terms.casKeyHash };
  using client = new CasClient({ ...address, pin, timeoutMs: TIMEOUT_MS });
  try {
    const attested = await requestCasStatement(client, pin, new Date());
    const now = new Date(); // after the answer: what came along may have been made for it
    const provider = await openProvider(terms, collateral, now);
    const findCollateral: Parameters<typeof judgeCasEvidence>[3]["findCollateral"] = async (evidence, context) => {
      try {
        return await collateralFor(provider, evidence, { update: collateral?.update ?? "standard", context });
      } catch (error) {
        if (error instanceof CollateralError) throw new ProtocolError("CAS_EVIDENCE", error.message, { cause: error });
        throw error;
      }
    };
    const verdict = await judgeCasEvidence(attested, terms, (credential) => client.openCredential(credential), {
      ownSecurityVersion: CAS_SOFTWARE.securityVersion,
      findCollateral,
      now,
    });
    return verdict.kind === "refused" ? verdict.problems.join("\n") : undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return error.message;
    throw error;
  }
}

async function readTerms(file: string): Promise<CasTerms> {
  try {
    return CasTerms.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (cause) {
    throw new CasError("CONFIGURATION", `${file} holds no terms of an attestation`, { cause });
  }
}

/** Documents are kept beside those of the CAS, whose directory belongs to it alone. */
async function openProvider(terms: CasTerms, collateral: CollateralOptions | undefined, now: Date): Promise<CollateralProvider> {
  const { sources = [], cacheDirectory, maxAgeDays, refreshIntervalMs } = collateral ?? {};
  return new CollateralProvider({
    sources: collateral === undefined ? vendorSources() : sources,
    anchors: casTrustAnchors(terms).anchors,
    floors: memoryFloors(),
    store: cacheDirectory === undefined ? undefined : await DiskCache.open(`${cacheDirectory}-probes`),
    now: () => now,
    random: Math.random,
    maxAgeDays,
    refreshIntervalMs,
  });
}
