export { readBuildFiles, readNamedFile } from "./build-files.ts";
export { BUILD_KINDS, type BuildSection } from "./build-section.ts";
export { CAS_ROLES, type CasInstance } from "./cas-section.ts";
export { Findings, type ManifestDiagnostic } from "./diagnostic.ts";
export { EVIDENCE_WORDS, type EvidenceChoice, joinEvidence, parseEvidenceWord } from "./evidence-choice.ts";
export { imageDefaults } from "./image-defaults.ts";
export { toYaml } from "./image-templates.ts";
export { MANIFEST_CODES, type ManifestCode } from "./manifest-codes.ts";
export type { ManifestKind } from "./manifest-header.ts";
export { decodeManifest } from "./manifest-yaml.ts";
export type { MeshImage, MeshInputs } from "./mesh-inputs.ts";
export { type MeshManifest, type MeshReadOptions, type MeshService, readMeshManifest } from "./mesh-manifest.ts";
export {
  CAS_MODES,
  type CasMode,
  type EvidenceKindName,
  type MeshRecord,
  MeshRecordSchema,
  type PolicyRecord,
  parseMeshRecord,
  type ServiceRecord,
} from "./mesh-record.ts";
export { meshRecord } from "./mesh-record-of-plan.ts";
export { findNearest, orList } from "./nearest.ts";
export { substituteShellVariables } from "./placeholder.ts";
export { isPlainMapping, mergeValues, type PlainMapping, type PlainValue } from "./plain-value.ts";
export type { ChartPlan } from "./plan-chart.ts";
export { type MeshPlan, type PlannedPolicy, type PlannedService, planMesh } from "./plan-mesh.ts";
export { type BuildFiles, planService, type ServicePlanOptions } from "./plan-service.ts";
export { objectName, pinnedReference, policyFileName, policyResourceName, relocatedReference } from "./resource-name.ts";
export { type ReadResult, readServiceManifest, type ServiceManifest, type ServiceReadOptions } from "./service-manifest.ts";
export { policyText, readablePolicy } from "./service-policy.ts";
