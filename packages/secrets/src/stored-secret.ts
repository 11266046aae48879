import type { JsonValue, KeyType } from "@vouchsafe/policy";

/** The value of a secret as it is kept. JSON-serialisable; certificates and keys are PEM (64 columns, LF, final newline), bytes are hex. */
export type StoredSecret =
  | (Generation & { readonly kind: "ascii"; readonly text: string })
  | (Generation & { readonly kind: "binary"; readonly hex: string })
  | StoredPrivateKey
  | { readonly kind: "public-key"; readonly pem: string }
  | StoredCertificate
  | { readonly kind: "pgp-key" /** Base64 of the binary transferable keys. */; readonly privateKey: string; readonly publicKey: string }
  | { readonly kind: "config-fragment"; readonly value: JsonValue };

/** History of a generated value (extension `rotate`). */
export interface Generation {
  /** Earlier values, the newest first, as many as the definition keeps. */
  readonly previous?: readonly string[] | undefined;
  /** ISO 8601. */
  readonly madeAt?: string | undefined;
  /** ISO 8601; when `now` passes it, `renewCertificates` makes a new value. */
  readonly renewAfter?: string | undefined;
}

export interface StoredPrivateKey extends Generation {
  readonly kind: "private-key";
  /** Undefined for explicit keys of a type the CAS does not generate (P-521, RSA-4096). */
  readonly keyType: KeyType | undefined;
  /** PKCS#8. */
  readonly pem: string;
}

export interface StoredCertificate {
  readonly kind: "x509" | "x509-ca";
  readonly certificate: string;
  /** Issuers, nearest first, root last, without the certificate itself; empty when self-signed (`:chain`). */
  readonly chain: readonly string[];
  /** PKCS#8; absent when the key stayed with the exporter (SL-147). */
  readonly privateKey: string | undefined;
  /** ISO 8601. When `now` passes `renewAfter`, issue again (SL-134). Undefined for explicit certificates. */
  readonly renewAfter: string | undefined;
  readonly notAfter: string;
}

/** By secret name. Kinds made at delivery (`jwt`, `aad-token`), imported and not yet supplied secrets are absent. */
export type StoredSecrets = ReadonlyMap<string, StoredSecret>;
