import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import type { SharedValue } from "@vouchsafe/protocol";
import type { StoredSecret } from "@vouchsafe/secrets";

/** A value as another CAS gets it: without what concerns only its exporter, such as times of renewal. */
export function toSharedValue(stored: StoredSecret): SharedValue {
  switch (stored.kind) {
    case "ascii":
      return { kind: "ascii", text: stored.text, ...history(stored.previous) };
    case "binary":
      return { kind: "binary", hex: stored.hex, ...history(stored.previous) };
    case "private-key":
      return { kind: "private-key", pem: stored.pem, ...history(stored.previous) };
    case "x509":
    case "x509-ca": {
      const { kind, certificate, chain, privateKey, notAfter } = stored;
      return { kind, certificate, chain: [...chain], privateKey: privateKey ?? null, notAfter };
    }
    case "public-key":
      return { kind: "public-key", pem: stored.pem };
    case "pgp-key":
      return { kind: "pgp-key", privateKey: stored.privateKey, publicKey: stored.publicKey };
    case "config-fragment":
      // zod's json type is mutable, the policy's is not; nobody changes it on its way out
      return { kind: "config-fragment", value: stored.value as Extract<SharedValue, { kind: "config-fragment" }>["value"] };
    default:
      return stored satisfies never;
  }
}

/** A value as another CAS sent it; undefined when keys or certificates in it are none, or do not belong together. */
export function fromSharedValue(shared: SharedValue): StoredSecret | undefined {
  try {
    return checked(shared);
  } catch {
    return undefined; // what OpenSSL says about a peer's broken key helps nobody
  }
}

function checked(shared: SharedValue): StoredSecret | undefined {
  switch (shared.kind) {
    case "private-key":
      createPrivateKey(shared.pem);
      return { ...shared, keyType: undefined };
    case "public-key":
      createPublicKey(shared.pem);
      return shared;
    case "x509":
    case "x509-ca": {
      const certificate = new X509Certificate(shared.certificate);
      for (const issuer of shared.chain) new X509Certificate(issuer);
      if (certificate.ca !== (shared.kind === "x509-ca")) return undefined;
      if (shared.privateKey !== null && !certificate.checkPrivateKey(createPrivateKey(shared.privateKey))) return undefined;
      return { ...shared, privateKey: shared.privateKey ?? undefined, renewAfter: undefined };
    }
    default:
      return shared;
  }
}

const history = (previous: readonly string[] | undefined) => (previous === undefined ? {} : { previous: [...previous] });
