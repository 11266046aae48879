export {
  CAS_MODES,
  type CasMode,
  EVIDENCE_KINDS,
  type EvidenceKindName,
  type MeshRecord,
  MeshRecordSchema,
  type PolicyRecord,
  parseMeshRecord,
  type ServiceRecord,
} from "./mesh-record.ts";
