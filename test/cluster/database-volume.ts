import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CLUSTER_STATE, isOwnCluster, type TestCluster } from "./cluster.ts";

/** User and group of the platform's own pods. */
const PLATFORM_USER = 65_532;

export interface DatabaseVolume {
  /** What the CAS resource says about its claim. */
  readonly persistence: string;
  /** Where the database lies on this machine; undefined on a cluster of the user's. */
  readonly path: string | undefined;
}

/** A place for the database of a CAS that outlives its pod: a directory of the node as a static volume, or the default class of a user's cluster. */
export async function makeDatabaseVolume({ namespace, directory, run, atEnd }: TestCluster, cas: string): Promise<DatabaseVolume> {
  if (isOwnCluster()) return { persistence: "{enabled: true, size: 64Mi}", path: undefined };
  const path = join(CLUSTER_STATE, "volumes", `${namespace}-${cas}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await run("chown", String(PLATFORM_USER), path);
  const volume = `apiVersion: v1
kind: PersistentVolume
metadata: {name: ${namespace}-${cas}}
spec:
  capacity: {storage: 64Mi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  claimRef: {namespace: ${namespace}, name: database-${cas}-0}
  hostPath: {path: ${path}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: database-${cas}-0, namespace: ${namespace}}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 64Mi}}}
`;
  const file = join(directory, `volume-${cas}.yaml`);
  await writeFile(file, volume);
  await run("kubectl", "apply", "-f", file);
  // Before the pod asks for it: the scheduler may look at a pod whose claim is being bound at this moment, and then not again for five minutes.
  const isBound = ["--for=jsonpath={.status.phase}=Bound", "--timeout=60s"];
  await run("kubectl", "-n", namespace, "wait", `pvc/database-${cas}-0`, ...isBound);
  atEnd(async () => {
    await run("kubectl", "delete", "pv", `${namespace}-${cas}`, "--wait=false");
    await rm(path, { recursive: true, force: true });
  });
  return { persistence: `{enabled: true, size: 64Mi, storageClass: "-"}`, path };
}
