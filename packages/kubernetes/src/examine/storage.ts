import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { CasResource } from "../custom-resources/resources.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";

const Claim = z.object({
  spec: z.object({ storageClassName: z.string().optional() }).prefault({}),
  status: z.object({ phase: z.string().default("Pending") }).prefault({}),
});
const StorageClass = z.object({ metadata: z.object({ name: z.string(), annotations: z.record(z.string(), z.string()).default({}) }) });
const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";

/** Whether the database of a CAS outlives its pod. */
export async function examineStorage(cluster: Cluster, cas: CasResource): Promise<Finding> {
  const { name, namespace = "default" } = cas.metadata;
  const { persistence } = cas.spec;
  if (!persistence.enabled) {
    return warning(
      "storage of the CAS",
      `the database of ${name} ends with its pod: a deleted pod is a new CAS, without owner and policies`,
      "Set spec.persistence.enabled of the CAS, with a storage class of the cluster.",
    );
  }
  const claim = await cluster.find({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: `database-${name}-0`, namespace },
  });
  const classes = (await cluster.list({ apiVersion: "storage.k8s.io/v1", kind: "StorageClass" })).map((item) => StorageClass.parse(item));
  const { spec, status } = Claim.parse(claim ?? {});
  if (status.phase === "Bound") return ok("storage of the CAS", `the volume of ${name} is bound`);
  const wanted = persistence.storageClass;
  const hasDefault = classes.some(({ metadata }) => metadata.annotations[DEFAULT_CLASS] === "true");
  const detail = `the volume claim database-${name}-0 is ${claim === undefined ? "not there yet" : status.phase}`;
  if (wanted === undefined && !hasDefault) {
    const known = classes.map(({ metadata }) => metadata.name).join(", ") || "none";
    return failed(
      "storage of the CAS",
      `${detail}: the cluster has no default storage class (classes: ${known})`,
      "Name one in spec.persistence.storageClass, or provide a volume and write `-` there.",
    );
  }
  if (wanted !== undefined && wanted !== "-" && !classes.some(({ metadata }) => metadata.name === wanted)) {
    return failed(
      "storage of the CAS",
      `${detail}: there is no storage class ${wanted}`,
      "Name a class that `kubectl get storageclass` shows.",
    );
  }
  const remedy =
    spec.storageClassName === ""
      ? "Provide a PersistentVolume that fits the claim."
      : `See: kubectl -n ${namespace} describe pvc database-${name}-0`;
  return failed("storage of the CAS", detail, remedy);
}
