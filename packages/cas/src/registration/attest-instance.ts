import {
  CAS_CLIENT_PORT,
  CasClient,
  ProtocolError,
  parseCasAddress,
  type RegisterInstance,
  requestCasStatement,
} from "@vouchsafe/protocol";
import { ApiError } from "../cas-error.ts";
import type { Instance } from "../sealing/sealed-key.ts";
import type { Software } from "../version.ts";
import type { Purpose } from "./registration.ts";

/** What counts of an instance when another one decides whether it may open the database. */
export interface InstanceFacts extends Instance, Software {
  /** It believes simulated evidence. */
  readonly developmentRoot: boolean;
  /** Kind of the evidence about its platform; undefined where there is none. */
  readonly evidenceKind: string | undefined;
}

const TIMEOUT_MS = 10_000;

/**
 * Asks the other instance who it is, and judges it (C-74). Without a TEE there is no evidence on either side: the owner vouches for the other
 * instance by its key, which is therefore required. Throws `not_attested`, `unavailable`, `bad_request`.
 */
export async function attestInstance(purpose: Purpose, request: RegisterInstance, own: InstanceFacts, now: Date): Promise<InstanceFacts> {
  const { address, casKeyHash, softwareKeyHash } = request;
  const parsed = parseCasAddress(address, CAS_CLIENT_PORT);
  if (parsed === undefined) throw new ApiError("bad_request", `${JSON.stringify(address)} is no address of a CAS`);
  const pin = { casKeyHash, softwareKeyHash };
  using client = new CasClient({ ...parsed, pin, timeoutMs: TIMEOUT_MS });
  const { statement, evidence } = await requestCasStatement(client, pin, now).catch((error: unknown) => {
    throw refusal(address, error);
  });
  const { instanceKey, version, securityVersion, developmentRoot } = statement;
  const found: InstanceFacts = { instanceKey, version, securityVersion, developmentRoot, evidenceKind: evidence?.kind };
  const problems = [
    ...(casKeyHash === undefined && evidence === null ? ["no hardware proves who it is, and its key hash (casKeyHash) was not given"] : []),
    ...instanceProblems(purpose, own, found),
  ];
  if (problems.length > 0) throw new ApiError("not_attested", `the CAS at ${address} is not acceptable`, { causes: problems });
  return found;
}

/** Why `other` may not open the database of `own`; empty when it may: its platform and its software are equal or better. */
export function instanceProblems(purpose: Purpose, own: InstanceFacts, other: InstanceFacts): string[] {
  const problems: string[] = [];
  if (other.evidenceKind !== undefined)
    problems.push(`evidence of kind ${other.evidenceKind} about a CAS is not understood by this version`);
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

function refusal(address: string, error: unknown): unknown {
  if (!(error instanceof ProtocolError)) return error;
  const isAway = error.code === "CAS_UNREACHABLE" || error.code === "CONNECTION_LOST";
  if (isAway) return new ApiError("unavailable", `the CAS at ${address} cannot be reached`, { causes: [error.message] });
  return new ApiError("not_attested", `the CAS at ${address} was not attested`, { causes: [error.message] });
}
