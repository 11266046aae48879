import {
  ActivationList,
  AuditCheckpoints,
  CasAttestation,
  CasVersion,
  CollateralForecast,
  CollateralStatus,
  ExportAnswer,
  HealthReport,
  NodeEnrolled,
  OpenedCredential,
  Problem,
  ProposalDetail,
  ProposalList,
  ProposalOutcome,
  Provisioned,
  PublicValue,
  PublicValues,
  RecoveryRequest,
  RegisteredInstance,
  RegisteredInstances,
  SecretList,
  SecretSupplied,
  SecretValue,
  SessionHash,
  SessionList,
  SessionUploaded,
  ShareAccepted,
  UpgradeStarted,
  VerifiedEvidence,
} from "@vouchsafe/protocol";
import { z } from "zod";
import { CAS_VERSION } from "../version.ts";

interface Operation {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  readonly path: string;
  readonly summary: string;
  /** Who may: from nobody in particular to the owner. */
  readonly needs:
    | "nothing"
    | "client certificate"
    | "certificate of a CAS"
    | "owner"
    | "token"
    | "signatures"
    | "statement of an allowed cluster";
  readonly body?: string;
  readonly answers: readonly { readonly status: number; readonly type: string; readonly schema?: z.ZodType }[];
}

const JSON_TYPE = "application/json";
const json = (schema: z.ZodType, status = 200) => ({ status, type: JSON_TYPE, schema });
const uploaded = [json(SessionUploaded, 201), json(SessionUploaded), json(SessionUploaded, 202)];

const OPERATIONS: readonly Operation[] = [
  {
    method: "post",
    path: "/v1/sessions",
    summary: "Create or update a session",
    needs: "client certificate",
    body: "application/yaml",
    answers: uploaded,
  },
  {
    method: "put",
    path: "/v1/signed_sessions",
    summary: "Upload a signed session",
    needs: "signatures",
    body: JSON_TYPE,
    answers: uploaded,
  },
  {
    method: "put",
    path: "/v1/encrypted_sessions",
    summary: "Upload an encrypted session",
    needs: "signatures",
    body: JSON_TYPE,
    answers: uploaded,
  },
  {
    method: "get",
    path: "/v1/sessions",
    summary: "List a namespace: query namespace, after, limit",
    needs: "client certificate",
    answers: [json(SessionList)],
  },
  {
    method: "get",
    path: "/v1/sessions/{name}",
    summary: "Read a session; query hash for a version, view=hash for its hash alone",
    needs: "client certificate",
    answers: [{ status: 200, type: "application/yaml" }, json(SessionHash)],
  },
  {
    method: "get",
    path: "/v1/values/session={name}",
    summary: "Public values of a session",
    needs: "nothing",
    answers: [json(PublicValues)],
  },
  {
    method: "get",
    path: "/v1/values/session={name},secret={secret}",
    summary: "One public value",
    needs: "nothing",
    answers: [json(PublicValue)],
  },
  {
    method: "post",
    path: "/v1/exports",
    summary: "Secrets that sessions export to a session of another CAS",
    needs: "certificate of a CAS",
    body: JSON_TYPE,
    answers: [json(ExportAnswer)],
  },
  {
    method: "get",
    path: "/v1/proposals/{name}",
    summary: "Proposals of a session; query hash for one of them with its text and difference",
    needs: "client certificate",
    answers: [json(ProposalList), json(ProposalDetail)],
  },
  {
    method: "post",
    path: "/v1/proposals/{name}",
    summary: "Approve, reject or withdraw the proposal of query hash; read and list for holders of a signing key",
    needs: "signatures",
    body: JSON_TYPE,
    answers: [json(ProposalOutcome)],
  },
  {
    method: "patch",
    path: "/v1/sessions/{name}",
    summary: "Raise security versions or add measurements, as roles permit; unsigned with a client certificate",
    needs: "signatures",
    body: "application/yaml",
    answers: [json(SessionUploaded)],
  },
  {
    method: "put",
    path: "/v1/secrets/session={name},secret={secret}",
    summary: "Supply the value of a secret with supplied_by",
    needs: "client certificate",
    body: "text/plain",
    answers: [json(SecretSupplied)],
  },
  {
    method: "get",
    path: "/v1/secrets/session={name},secret={secret}",
    summary: "Value of a secret, for a role that may read_secret; query format",
    needs: "client certificate",
    answers: [json(SecretValue)],
  },
  {
    method: "get",
    path: "/v1/secrets/session={name}",
    summary: "Secrets that people supply or read, without values",
    needs: "client certificate",
    answers: [json(SecretList)],
  },
  {
    method: "get",
    path: "/v1/activations/{name}",
    summary: "Starts and running instances of the services of a session",
    needs: "client certificate",
    answers: [json(ActivationList)],
  },
  {
    method: "get",
    path: "/v1/attest",
    summary: "Statement and evidence of this CAS; query nonce",
    needs: "nothing",
    answers: [json(CasAttestation)],
  },
  {
    method: "post",
    path: "/v1/attest/credential",
    summary: "Where the evidence is that of a TPM: have it open a credential for its keys",
    needs: "nothing",
    body: JSON_TYPE,
    answers: [json(OpenedCredential)],
  },
  { method: "get", path: "/v1/version", summary: "Version and state", needs: "nothing", answers: [json(CasVersion)] },
  {
    method: "get",
    path: "/v1/health/live",
    summary: "Answers while the process lives",
    needs: "nothing",
    answers: [{ status: 200, type: JSON_TYPE }],
  },
  {
    method: "get",
    path: "/v1/health/ready",
    summary: "Answers 503 while nothing can be served",
    needs: "nothing",
    answers: [{ status: 200, type: JSON_TYPE }],
  },
  { method: "get", path: "/v1/health/report", summary: "Database, audit log, collateral", needs: "owner", answers: [json(HealthReport)] },
  { method: "post", path: "/v1/provision", summary: "Become the owner", needs: "token", body: JSON_TYPE, answers: [json(Provisioned)] },
  {
    method: "put",
    path: "/v1/config",
    summary: "Replace the owner configuration",
    needs: "owner",
    body: "application/toml",
    answers: [{ status: 204, type: "" }],
  },
  {
    method: "get",
    path: "/v1/collateral",
    summary: "What the CAS has of what vendors publish, and how long it is good",
    needs: "owner",
    answers: [json(CollateralStatus)],
  },
  {
    method: "get",
    path: "/v1/collateral/forecast",
    summary: "When each platform that was seen falls out of date, and which services refuse it then",
    needs: "owner",
    answers: [json(CollateralForecast)],
  },
  {
    method: "post",
    path: "/v1/verify-evidence",
    summary: "Verify evidence and sign the result as EAR, where the owner has switched it on",
    needs: "client certificate",
    body: JSON_TYPE,
    answers: [json(VerifiedEvidence)],
  },
  {
    method: "post",
    path: "/v1/node-keys",
    summary: "Trust a node agent's key",
    needs: "owner",
    body: JSON_TYPE,
    answers: [{ status: 201, type: JSON_TYPE }],
  },
  {
    method: "put",
    path: "/v1/node-issuers",
    summary: "Allow a cluster to vouch for its node agents",
    needs: "owner",
    body: JSON_TYPE,
    answers: [{ status: 204, type: "" }],
  },
  {
    method: "delete",
    path: "/v1/node-issuers",
    summary: "Withdraw that; query issuer",
    needs: "owner",
    answers: [{ status: 204, type: "" }],
  },
  {
    method: "post",
    path: "/v1/node-enrolments",
    summary: "Trust a node agent's key on the word of its cluster",
    needs: "statement of an allowed cluster",
    body: JSON_TYPE,
    answers: [json(NodeEnrolled)],
  },
  {
    method: "put",
    path: "/v1/backup-issuers",
    summary: "Allow a cluster to register its nodes as backups",
    needs: "owner",
    body: JSON_TYPE,
    answers: [{ status: 204, type: "" }],
  },
  {
    method: "delete",
    path: "/v1/backup-issuers",
    summary: "Withdraw that; query issuer",
    needs: "owner",
    answers: [{ status: 204, type: "" }],
  },
  {
    method: "post",
    path: "/v1/backup-enrolments",
    summary: "Attest a CAS on another node and let it open the database, on the word of its cluster",
    needs: "statement of an allowed cluster",
    body: JSON_TYPE,
    answers: [json(RegisteredInstance, 201)],
  },
  {
    method: "post",
    path: "/v1/accept-rollback",
    summary: "Accept that the newest changes are lost",
    needs: "owner",
    answers: [{ status: 200, type: "text/plain" }],
  },
  {
    method: "post",
    path: "/v1/backups",
    summary: "Attest a CAS on another machine and let it open the database",
    needs: "owner",
    body: JSON_TYPE,
    answers: [json(RegisteredInstance, 201)],
  },
  { method: "get", path: "/v1/backups", summary: "Registered backups and upgrades", needs: "owner", answers: [json(RegisteredInstances)] },
  {
    method: "delete",
    path: "/v1/backups",
    summary: "Withdraw that; query name",
    needs: "owner",
    answers: [{ status: 204, type: "" }],
  },
  {
    method: "post",
    path: "/v1/upgrades",
    summary: "Attest a CAS with newer software and let it open the database",
    needs: "owner",
    body: JSON_TYPE,
    answers: [json(RegisteredInstance, 201)],
  },
  {
    method: "delete",
    path: "/v1/upgrades",
    summary: "Withdraw that; query name",
    needs: "owner",
    answers: [{ status: 204, type: "" }],
  },
  {
    method: "post",
    path: "/v1/upgrades/start",
    summary: "Give the database a new key, for the running software and registered instances of its version only",
    needs: "owner",
    answers: [json(UpgradeStarted)],
  },
  {
    method: "get",
    path: "/v1/recovery",
    summary: "In state recovery: whose database it is, and each holder's share, encrypted to the holder",
    needs: "nothing",
    answers: [json(RecoveryRequest)],
  },
  {
    method: "post",
    path: "/v1/recovery/shares",
    summary: "In state recovery: hand in a holder's share",
    needs: "signatures",
    body: JSON_TYPE,
    answers: [json(ShareAccepted)],
  },
  {
    method: "get",
    path: "/v1/audit/checkpoints",
    summary: "Signed checkpoints of the log; query from, to",
    needs: "owner",
    answers: [json(AuditCheckpoints)],
  },
];

const SIGN = {
  name: "sign",
  in: "query",
  schema: { const: "1" },
  description: "Sign the answer (RFC 9421), so that it can be shown to others; the chain of the key is in vouchsafe-signature-chain",
};

/** The OpenAPI 3.1 document of the client API: paths from the table above, bodies from the schemas that client and server share. */
export function openApiDocument(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, summary, needs, body, answers } of OPERATIONS) {
    const responses = Object.fromEntries(answers.map(({ status, type, schema }) => [String(status), response(type, schema)]));
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    }));
    const parameters = method === "get" ? [...named, SIGN] : named;
    const operation = {
      summary,
      description: `Needs: ${needs}.`,
      ...(parameters.length === 0 ? {} : { parameters }),
      ...(body === undefined ? {} : { requestBody: { required: true, content: { [body]: { schema: { type: "string" } } } } }),
      responses: { ...responses, default: { $ref: "#/components/responses/Problem" } },
    };
    paths[path] = { ...paths[path], [method]: operation };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Configuration and Attestation Service", version: CAS_VERSION },
    paths,
    components: { responses: { Problem: response("application/problem+json", Problem) } },
  };
}

function response(type: string, schema: z.ZodType | undefined): object {
  if (type === "") return { description: "No content" };
  const content = schema === undefined ? {} : { schema: z.toJSONSchema(schema, { io: "output" }) };
  return { description: "Answer", content: { [type]: content } };
}
