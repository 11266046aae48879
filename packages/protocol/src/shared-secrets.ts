import { z } from "zod";

/** What one CAS asks another for, and what it gets: `POST /v1/exports` (C-33). Both sides are named by their CAS keys, on the TLS connection. */

const Hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const SessionName = z.string().min(1).max(512);
const SecretName = z.string().regex(/^[A-Za-z0-9_.~-]{1,128}$/);
const Kind = z.enum(["ascii", "binary", "private-key", "public-key", "x509", "x509-ca", "pgp-key", "config-fragment"]);

/** One secret as the importing document names it. */
export const ImportQuery = z.strictObject({
  session: SessionName,
  secret: SecretName,
  /** The exporting session must have this hash (SL-144). */
  sessionHash: Hex64.nullable(),
  /** What the importing document says it is. */
  kind: Kind.nullable(),
});
export type ImportQuery = z.infer<typeof ImportQuery>;

export const MAX_IMPORT_QUERIES = 4096;

/** `importer` is the session that asks, as the asking CAS vouches for it. */
export const ExportRequest = z.strictObject({
  importer: z.strictObject({ session: SessionName, sessionHash: Hex64 }),
  imports: z.array(ImportQuery).min(1).max(MAX_IMPORT_QUERIES),
});
export type ExportRequest = z.infer<typeof ExportRequest>;

const Pem = z.string().max(64 * 1024);
const ValueText = z.string().max(1024 * 1024);
/** Earlier values of a rotating secret, the newest first. */
const Previous = z.array(ValueText).max(64).optional();

/** Value of a secret on its way between two CAS. Keys and certificates are PEM, bytes are hex. */
export const SharedValue = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("ascii"), text: ValueText, previous: Previous }),
  z.object({ kind: z.literal("binary"), hex: ValueText.regex(/^(?:[0-9a-f]{2})*$/), previous: Previous }),
  z.object({ kind: z.literal("private-key"), pem: Pem, previous: Previous }),
  z.object({ kind: z.literal("public-key"), pem: Pem }),
  z.object({
    kind: z.enum(["x509", "x509-ca"]),
    certificate: Pem,
    chain: z.array(Pem).max(16),
    /** Null when the key is not exported to the importer too (SL-147). */
    privateKey: Pem.nullable(),
    notAfter: z.iso.datetime(),
  }),
  z.object({ kind: z.literal("pgp-key"), privateKey: z.base64(), publicKey: z.base64() }),
  z.object({ kind: z.literal("config-fragment"), value: z.json() }),
]);
export type SharedValue = z.infer<typeof SharedValue>;

/**
 * Why an import is refused (SL-145). `not_visible` is all that a CAS learns which no export of the session names: whether the session exists is
 * none of its business.
 */
export const EXPORT_REFUSALS = ["not_visible", "secret_missing", "not_exported", "hash_differs", "kind_differs", "no_value"] as const;
export type ExportRefusal = (typeof EXPORT_REFUSALS)[number];

/** One answer for each query, in the same order. */
export const ExportAnswer = z.object({
  answers: z
    .array(
      z.discriminatedUnion("status", [
        z.object({ status: z.literal("ok"), value: SharedValue }),
        z.object({ status: z.literal("refused"), reason: z.enum(EXPORT_REFUSALS) }),
      ]),
    )
    .max(MAX_IMPORT_QUERIES),
});
export type ExportAnswer = z.infer<typeof ExportAnswer>;
