export { type PolicyResource, planApplicationChart, policyObject } from "./chart/application-chart.ts";
export { Cluster, ClusterError } from "./cluster/cluster.ts";
export { endProgram } from "./cluster/end-program.ts";
export { loadKubeconfig } from "./cluster/load-kubeconfig.ts";
export { CUSTOM_RESOURCE_DEFINITIONS, type CustomResourceDefinition } from "./custom-resources/definitions.ts";
export { CasResource } from "./custom-resources/resources.ts";
export { type ClusterQuestion, examineCluster } from "./examine/examine-cluster.ts";
export type { Finding } from "./examine/finding.ts";
export { installPlatform } from "./install/install-platform.ts";
export { findInstalledImages } from "./install/installed-images.ts";
export { uninstallPlatform } from "./install/uninstall-platform.ts";
export { KubernetesError, type KubernetesErrorCode } from "./kubernetes-error.ts";
export { SECCOMP_PROFILE } from "./las/seccomp-profile.ts";
export { planCas } from "./objects/cas-objects.ts";
export { planLas } from "./objects/las-objects.ts";
export { type PlatformSettings, planNodes, planOperator, planPlatform } from "./objects/operator-objects.ts";
export type { PlatformObject } from "./objects/platform-object.ts";
export type { JudgeCasResource } from "./operator/attest-cas-resource.ts";
export { runOperator } from "./operator/run-operator.ts";
export { PLATFORM_VERSION } from "./platform-version.ts";
export { updateBackupPolicy } from "./provision/backup-policy.ts";
export { type CasTunnel, openCasTunnel } from "./provision/cas-tunnel.ts";
export { copySnapshot } from "./provision/copy-snapshot.ts";
export {
  type Attested,
  assertCasName,
  assertNamespace,
  attestCas,
  type CasAccess,
  type CasName,
  type ClientCredentials,
  findCas,
  withCasClient,
} from "./provision/inspect-cas.ts";
export {
  type CasWait,
  createCas,
  type OwnershipOptions,
  ownCas,
  pinKey,
  readClaim,
  untilBackups,
  untilHealthy,
  writeTerms,
} from "./provision/provision-cas.ts";
export { recoverDatabase } from "./provision/recover-database.ts";
export { readSnapshot } from "./provision/snapshot-files.ts";
export { type UpgradeOptions, upgradeCas } from "./provision/upgrade-cas.ts";
