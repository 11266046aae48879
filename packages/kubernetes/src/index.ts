export { type PolicyResource, planApplicationChart, policyObject } from "./chart/application-chart.ts";
export { Cluster, ClusterError } from "./cluster/cluster.ts";
export { CUSTOM_RESOURCE_DEFINITIONS, type CustomResourceDefinition } from "./custom-resources/definitions.ts";
export { KubernetesError, type KubernetesErrorCode } from "./kubernetes-error.ts";
export { planCas } from "./objects/cas-objects.ts";
export { planLas } from "./objects/las-objects.ts";
export { type PlatformSettings, planNodes, planOperator, planPlatform } from "./objects/operator-objects.ts";
export type { PlatformObject } from "./objects/platform-object.ts";
