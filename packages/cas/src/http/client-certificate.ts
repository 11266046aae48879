import type { KeyObject, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { keyHashOf } from "@vouchsafe/policy";
import { ApiError } from "../cas-error.ts";

/** Who is at the other end of a connection: possession of the key counts, nothing else in the certificate does (C-18). */
export interface ClientCertificate {
  readonly keyHash: string;
  readonly pem: string;
}

/** Larger keys are for burning our processor time. */
const MAX_RSA_BITS = 8192;
const EC_PUBLIC_KEY = Buffer.from("06072a8648ce3d0201", "hex");
const OBJECT_IDENTIFIER = 0x06;
const known = new WeakMap<object, ClientCertificate | null>();

/** The certificate shown on this connection; undefined when none was. Read once for each connection. */
export function clientCertificateOf(socket: object): ClientCertificate | undefined {
  const cached = known.get(socket);
  if (cached !== undefined) return cached ?? undefined;
  // fastify's socket is a TLS socket: this application is served over TLS only
  const certificate = (socket as Partial<TLSSocket>).getPeerX509Certificate?.();
  const found = certificate === undefined ? undefined : describe(certificate);
  known.set(socket, found ?? null);
  return found;
}

/** As above, for operations that need one. Throws `unauthenticated`. */
export function requireClientCertificate(socket: object, operation: string): ClientCertificate {
  const certificate = clientCertificateOf(socket);
  if (certificate === undefined) throw new ApiError("unauthenticated", `${operation} needs a TLS client certificate`);
  return certificate;
}

function describe(certificate: X509Certificate): ClientCertificate {
  const bits = certificate.publicKey.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits > MAX_RSA_BITS) {
    throw new ApiError("unauthenticated", `the client's RSA key has ${bits} bits, at most ${MAX_RSA_BITS} are accepted`);
  }
  if (certificate.publicKey.asymmetricKeyType === "ec" && !hasNamedCurve(certificate.publicKey)) {
    throw new ApiError("unauthenticated", "the client's key spells out its curve; expected a curve by its name");
  }
  return { keyHash: keyHashOf(certificate.publicKey), pem: certificate.toString() };
}

/** RFC 5480 section 2.1.1: parameters of a curve are its object identifier. Spelt out, one key would have many hashes (hazard J2). */
function hasNamedCurve(key: KeyObject): boolean {
  const spki = key.export({ type: "spki", format: "der" });
  const at = spki.indexOf(EC_PUBLIC_KEY);
  return at >= 0 && spki[at + EC_PUBLIC_KEY.length] === OBJECT_IDENTIFIER;
}
