import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import type { TlsIdentity } from "../identity/cas-identity.ts";

/** TLS 1.3 only; no stateless tickets, no session store, hence no resumption, so that every connection is judged on its own (hazard B4). */
export function serverTlsOptions({ privateKey, chain }: TlsIdentity): SecureContextOptions {
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    cert: chain.join(""),
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}
