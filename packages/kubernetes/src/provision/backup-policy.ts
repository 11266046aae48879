import { CasProblemError, ProtocolError } from "@vouchsafe/protocol";
import type { Cluster } from "../cluster/cluster.ts";
import { OPERATOR_NAME } from "../objects/operator-rights.ts";
import { readClusterIssuer } from "./cluster-issuer.ts";
import { type CasName, type ClientCredentials, findCas, withCasClient } from "./inspect-cas.ts";
import { listLas, platformNamespaceOf } from "./node-enrolment.ts";

export interface BackupPolicyOptions {
  readonly cas: CasName;
  readonly owner: ClientCredentials;
  /** Key hash of the CAS. */
  readonly pin: string | undefined;
  /** The user did not refuse it. */
  readonly allowsBackups: boolean;
  readonly log: (line: string) => void;
}

/**
 * The right of this cluster's operator to register nodes as backups, and nothing else (C-75): given where the resource asks for backups and the owner
 * does not refuse, withdrawn elsewhere. Says whether the CAS now has it as wanted; a CAS of an older version cannot, which is told.
 */
export async function updateBackupPolicy(cluster: Cluster, options: BackupPolicyOptions): Promise<boolean> {
  const { cas, owner, pin, allowsBackups, log } = options;
  const isWanted = allowsBackups && (await findCas(cluster, cas))?.spec["backup-controller"].enabled === true;
  const issuer = await readClusterIssuer(cluster, platformNamespaceOf(await listLas(cluster)), OPERATOR_NAME);
  if (issuer === undefined) {
    if (isWanted) log("warning: this cluster does not let you read its token keys, so its operator cannot register backups");
    return !isWanted;
  }
  try {
    await withCasClient(cluster, cas, { pin, credentials: owner }, (client) =>
      isWanted ? client.putBackupIssuer(issuer) : client.removeBackupIssuer(issuer.issuer),
    );
  } catch (error) {
    if (!(error instanceof CasProblemError || error instanceof ProtocolError)) throw error;
    if (isWanted) log(`warning: the operator of this cluster cannot register backups yet: ${error.message}`);
    return false;
  }
  if (isWanted) log("the operator of this cluster may register its nodes as backups; not wanted: --no-backup");
  return true;
}
