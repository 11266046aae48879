import type { Claims } from "@vouchsafe/attestation";
import {
  CAS_CLIENT_PORT,
  CasClient,
  type CasEvidenceTrust,
  neededTolerances,
  ProtocolError,
  parseCasAddress,
  type RegisterInstance,
  requestCasStatement,
  verifyCasEvidence,
} from "@vouchsafe/protocol";
import { ApiError } from "../cas-error.ts";
import type { Instance } from "../sealing/sealed-key.ts";
import type { Software } from "../version.ts";
import type { Purpose } from "./registration.ts";

/** What counts of an instance when another one decides whether it may open the database. */
export interface InstanceFacts extends Instance, Software {
  /** It believes simulated evidence. */
  readonly developmentRoot: boolean;
  /** What evidence proves about it; undefined where there is none. */
  readonly claims: Claims | undefined;
}

/** What the owner accepts of another instance besides what this one is itself. */
export type InstanceTerms = Pick<RegisterInstance, "casKeyHash" | "mrenclave" | "tolerate">;

const TIMEOUT_MS = 10_000;

/**
 * Asks the other instance who it is, and judges it (C-74). Where its evidence does not prove that it is like this CAS, the owner vouches for it by its
 * key, which is therefore required. Throws `not_attested`, `unavailable`, `bad_request`.
 */
export async function attestInstance(
  purpose: Purpose,
  request: RegisterInstance,
  own: InstanceFacts,
  trust: () => CasEvidenceTrust,
): Promise<InstanceFacts> {
  const { address, casKeyHash, softwareKeyHash } = request;
  const parsed = parseCasAddress(address, CAS_CLIENT_PORT);
  if (parsed === undefined) throw new ApiError("bad_request", `${JSON.stringify(address)} is no address of a CAS`);
  const pin = { casKeyHash, softwareKeyHash };
  using client = new CasClient({ ...parsed, pin, timeoutMs: TIMEOUT_MS });
  const found = await askInstance(client, pin, trust).catch((error: unknown) => {
    throw refusal(address, error);
  });
  const problems = instanceProblems(purpose, own, found, request);
  if (problems.length > 0) throw new ApiError("not_attested", `the CAS at ${address} is not acceptable`, { causes: problems });
  return found;
}

async function askInstance(
  client: CasClient,
  pin: Parameters<typeof requestCasStatement>[1],
  trust: () => CasEvidenceTrust,
): Promise<InstanceFacts> {
  const attested = await requestCasStatement(client, pin, trust().now);
  const { instanceKey, version, securityVersion, developmentRoot } = attested.statement;
  const claims = await verifyCasEvidence(attested, trust(), (credential) => client.openCredential(credential));
  return { instanceKey, version, securityVersion, developmentRoot, claims };
}

/** Why `other` may not open the database of `own`; empty when it may: its platform and its software are equal or better. */
export function instanceProblems(purpose: Purpose, own: InstanceFacts, other: InstanceFacts, terms: InstanceTerms): string[] {
  const problems = evidenceProblems(purpose, own.claims, other.claims, terms);
  if (other.securityVersion < own.securityVersion) {
    problems.push(
      `its security version is ${other.securityVersion}, at least ${own.securityVersion} is needed: a downgrade never gets the key`,
    );
  }
  if (purpose === "backup" && other.instanceKey === own.instanceKey) {
    problems.push("it runs on the platform of this CAS, and a backup is on another machine");
  }
  if (other.developmentRoot && !own.developmentRoot) problems.push("it has a development root, and this CAS has none");
  return problems;
}

function evidenceProblems(purpose: Purpose, own: Claims | undefined, other: Claims | undefined, terms: InstanceTerms): string[] {
  const isNamed = other !== undefined && (terms.mrenclave ?? []).includes(other.codeIdentity);
  if (own === undefined) {
    // What it runs is known only where the owner named it: any guest has evidence of something.
    if (isNamed || terms.casKeyHash !== undefined) return [];
    return ["no hardware proves who it is, and its key hash (casKeyHash) was not given"];
  }
  if (other === undefined) return [`evidence of kind ${own.kind} proves what this CAS is, and it gives none`];
  return [...codeProblems(purpose, own, other, isNamed), ...platformProblems(own, other, terms.tolerate ?? [])];
}

/** Same signer, same product, same or higher version; where nobody signed, the same code, or what the owner named. */
function codeProblems(purpose: Purpose, own: Claims, other: Claims, isNamed: boolean): string[] {
  const kind = own.kind === other.kind ? [] : [`its evidence is of kind ${other.kind}, expected ${own.kind}`];
  if (own.signer === undefined || other.signer === undefined) {
    const isSame = purpose === "backup" && own.codeIdentity === other.codeIdentity;
    if (isSame || isNamed) return kind;
    const expected = purpose === "backup" ? `expected ${own.codeIdentity}` : "expected one that you name";
    return [...kind, `measurement does not match: ${other.codeIdentity}; ${expected} (accepted by --mrenclave ${other.codeIdentity})`];
  }
  const problems = [...kind];
  if (other.signer.mrSigner !== own.signer.mrSigner || other.signer.isvProdId !== own.signer.isvProdId) {
    const named = ({ mrSigner, isvProdId }: NonNullable<Claims["signer"]>) => `${mrSigner} product ${isvProdId}`;
    problems.push(`signer does not match: ${named(other.signer)}; expected ${named(own.signer)}`);
  }
  if (other.signer.isvSvn < own.signer.isvSvn)
    problems.push(`security version does not match: ${other.signer.isvSvn}; expected at least ${own.signer.isvSvn}`);
  return problems;
}

function platformProblems(own: Claims, other: Claims, tolerated: readonly string[]): string[] {
  const accepted = new Set([...tolerated, ...(neededTolerances(own.tcb.status) ?? [])]);
  const missing = neededTolerances(other.tcb.status)?.filter((tolerance) => !accepted.has(tolerance));
  const isWeak = (other.weaknesses ?? []).length > 0 && (own.weaknesses ?? []).length === 0 && !accepted.has("configuration-needed");
  const switches = missing === undefined ? "" : ` (accepted by ${missing.map((tolerance) => `--${tolerance}`).join(" ")})`;
  return [
    ...(missing?.length === 0 ? [] : [`platform does not match: ${other.tcb.status}; expected ${own.tcb.status} or better${switches}`]),
    ...(isWeak ? [`configuration does not match: ${other.weaknesses?.join("; ")} (accepted by --configuration-needed)`] : []),
    ...(other.debug && !own.debug ? ["mode does not match: debug; expected production"] : []),
  ];
}

function refusal(address: string, error: unknown): unknown {
  if (!(error instanceof ProtocolError)) return error;
  const isAway = error.code === "CAS_UNREACHABLE" || error.code === "CONNECTION_LOST";
  if (isAway) return new ApiError("unavailable", `the CAS at ${address} cannot be reached`, { causes: [error.message] });
  return new ApiError("not_attested", `the CAS at ${address} was not attested`, { causes: [error.message] });
}
