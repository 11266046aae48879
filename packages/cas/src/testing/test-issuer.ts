import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { ClusterIssuer } from "@vouchsafe/protocol";
import { SignJWT } from "jose";

export const ISSUER = "https://kubernetes.default.svc.cluster.local";
const AGENTS = "system:serviceaccount:scone-system:vouchsafe-las";

/** Plays a cluster: signs tokens as its API server does. */
export class TestIssuer {
  readonly #pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  readonly #kid: string;

  readonly #subject: string;
  readonly #name: string;

  constructor(kid = "one", subject = AGENTS, name = ISSUER) {
    this.#kid = kid;
    this.#subject = subject;
    this.#name = name;
  }

  get issuer(): ClusterIssuer {
    const { kty, crv, x, y } = this.#pair.publicKey.export({ format: "jwk" });
    assert(kty === "EC" && crv === "P-256" && x !== undefined && y !== undefined);
    return { issuer: this.#name, subject: this.#subject, keys: [{ kty, crv, x, y, kid: this.#kid, alg: "ES256", use: "sig" }] };
  }

  statement(change: { audience?: string | string[]; subject?: string; issuer?: string; expires?: string; claims?: object } = {}) {
    const claims = { "kubernetes.io": { namespace: "scone-system", node: { name: "node-2" }, pod: { name: "las-1", uid: "u" } } };
    return new SignJWT({ ...(change.claims ?? claims) })
      .setProtectedHeader({ alg: "ES256", kid: this.#kid })
      .setIssuer(change.issuer ?? this.#name)
      .setSubject(change.subject ?? this.#subject)
      .setAudience(change.audience ?? "")
      .setIssuedAt()
      .setExpirationTime(change.expires ?? "10m")
      .sign(this.#pair.privateKey);
  }
}
