import { lookup } from "node:dns/promises";
import type { MeshPlan } from "@vouchsafe/mesh";
import { CasClient, CasProblemError, ProtocolError, UpdatePendingError } from "@vouchsafe/protocol";
import { CliError } from "./cli-error.ts";
import type { ActivePolicy, PolicyDocument } from "./policy-documents.ts";
import type { Shell } from "./shell.ts";

const LOOKUP_MS = 2000;
const UPLOAD_MS = 30_000;

/** What the CAS has under the names of the plan's policies, as it says itself or the cluster does; nothing where neither can be asked (MF-100). */
export async function activePolicies(plan: MeshPlan, shell: Shell): Promise<ReadonlyMap<string, ActivePolicy>> {
  const address = await findAddress(plan, shell);
  const answered = address === undefined ? new Map<string, ActivePolicy>() : await askAt(address, plan);
  if (answered.size === plan.policies.length) return answered;
  const { activePoliciesOfCluster } = await import("./cluster-policies.ts");
  return new Map([...(await activePoliciesOfCluster(plan, shell, askFor)), ...answered]);
}

async function askAt(
  address: { readonly host: string; readonly port: number },
  plan: MeshPlan,
): Promise<ReadonlyMap<string, ActivePolicy>> {
  const client = new CasClient({ ...address, pin: { casKeyHash: plan.cas.key }, timeoutMs: LOOKUP_MS });
  try {
    return await askFor(plan, client);
  } finally {
    client.close();
  }
}

async function askFor(plan: MeshPlan, client: CasClient): Promise<ReadonlyMap<string, ActivePolicy>> {
  const found = new Map<string, ActivePolicy>();
  for (const { name } of plan.policies) {
    try {
      found.set(name, { kind: "active", ...(await client.readSessionHash(name)) });
    } catch (error) {
      if (error instanceof CasProblemError && error.problem.code === "not_found") found.set(name, { kind: "absent" });
      else if (error instanceof ProtocolError || error instanceof CasProblemError)
        return found; // not reachable, or not for us: earlier files decide
      else throw error;
    }
  }
  return found;
}

/** Uploads the signed policies in order (mode `Upload`). Throws E-CAS-CONNECT, E-CAS-KEY-MISMATCH, E-CAS-DENIED. */
export async function uploadDocuments(plan: MeshPlan, documents: readonly PolicyDocument[], shell: Shell): Promise<void> {
  const { cas } = plan;
  const address = (await findAddress(plan, shell)) ?? { host: cas.host, port: cas.port };
  const retries = /^\d{1,2}$/.test(shell.environment["SCONE_CLI_RETRIES"] ?? "") ? Number(shell.environment["SCONE_CLI_RETRIES"]) : 3;
  const client = new CasClient({ ...address, pin: { casKeyHash: cas.key }, timeoutMs: UPLOAD_MS });
  try {
    await uploadAll(documents, client, retries, { ...address, key: cas.key });
  } finally {
    client.close();
  }
}

async function uploadAll(
  documents: readonly PolicyDocument[],
  client: CasClient,
  retries: number,
  cas: { readonly host: string; readonly port: number; readonly key: string | undefined },
): Promise<void> {
  const address = `${cas.host}:${cas.port}`;
  for (const { planned, signed } of documents) {
    for (let attempt = 0; ; attempt++) {
      try {
        await client.uploadSignedSession(signed);
        break;
      } catch (error) {
        if (error instanceof ProtocolError && error.code === "CAS_IDENTITY") {
          throw new CliError(
            "E-CAS-KEY-MISMATCH",
            `the CAS at ${address} has another key than ${cas.key ?? "expected"}: ${error.message}`,
            { cause: error, remedy: "Check cas_url and cas_key." },
          );
        }
        if (error instanceof UpdatePendingError)
          throw new CliError("E-CAS-DENIED", error.message, {
            cause: error,
            ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
          });
        if (error instanceof ProtocolError && attempt >= retries) {
          throw new CliError("E-CAS-CONNECT", `the CAS at ${address} cannot be reached after ${retries} retries: ${error.message}`, {
            cause: error,
            remedy: "Check cas_url, or use mode EncryptedManifest, which needs no connection.",
          });
        }
        if (error instanceof CasProblemError) {
          throw new CliError("E-CAS-DENIED", `the CAS refused the policy ${planned.name}: ${error.message}`, {
            cause: error,
            remedy: "Check that the policy namespace is yours.",
          });
        }
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
  }
}

/** Where the CAS of the plan can be reached from here: as this machine's own CAS, which its key identifies, or by its name. */
async function findAddress({ cas }: MeshPlan, { environment }: Shell): Promise<{ host: string; port: number } | undefined> {
  const { defaultStateDir, findEmbeddedCas } = await import("@vouchsafe/local");
  const embedded = findEmbeddedCas(defaultStateDir(environment));
  if (embedded !== undefined && embedded.casKeyHash === cas.key) return embedded.client;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), LOOKUP_MS);
  const found = await Promise.race([lookup(cas.host).catch(() => undefined), promise]); // an unknown name is an answer
  clearTimeout(timer);
  return found === undefined ? undefined : { host: cas.host, port: cas.port };
}
