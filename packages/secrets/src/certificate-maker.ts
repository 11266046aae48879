import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import type { ExplicitCertificate, GeneratedCertificate, Session, SuppliedSecret } from "@vouchsafe/policy";
import { issueCertificate } from "./certificate.ts";
import { publicKeyPem } from "./public-key.ts";
import type { Randomness } from "./randomness.ts";
import { SecretError } from "./secret-error.ts";
import type { StoredCertificate, StoredSecret, StoredSecrets } from "./stored-secret.ts";

/** In every certificate of a session that names simulated evidence: whoever got its key proved nothing. */
const DEVELOPMENT_COMMENT = "DEVELOPMENT ONLY: this policy accepts simulated evidence, which proves nothing";

/** An imported section is not known when certificates are made. */
const acceptsSimulated = ({ security, services }: Session): boolean =>
  [security, ...services.map((service) => service.security)].some((section) => {
    if (section === undefined || !("attestation" in section) || !("evidence" in section.attestation)) return false;
    return section.attestation.evidence.includes("simulated");
  });

/** Makes the certificates of one session, issuers before what they issue, each once. */
export class CertificateMaker {
  readonly pending: string[] = [];
  readonly warnings: string[] = [];
  readonly #definitions: ReadonlyMap<string, Session["secrets"][number]>;
  readonly #values: Map<string, StoredSecret>;
  readonly #imports: StoredSecrets;
  readonly #clock: { readonly now: Date; readonly random: Randomness };
  readonly #isDevelopment: boolean;
  readonly #visited = new Set<string>();
  readonly #keys = new Map<string, KeyObject>();

  constructor(
    session: Session,
    values: Map<string, StoredSecret>,
    imports: StoredSecrets,
    clock: { readonly now: Date; readonly random: Randomness },
  ) {
    this.#definitions = new Map(session.secrets.map((secret) => [secret.name, secret]));
    this.#isDevelopment = acceptsSimulated(session);
    this.#values = values;
    this.#imports = imports;
    this.#clock = clock;
  }

  /** Fills in the certificate unless it is there already; notes it as pending when something imported is missing. */
  make(name: string): void {
    if (this.#visited.has(name) || this.#values.has(name)) return;
    this.#visited.add(name);
    const definition = this.#definitions.get(name);
    if (definition?.kind !== "x509" && definition?.kind !== "x509-ca") return;
    if (definition.origin === "generated") this.#issue(definition);
    else if (definition.origin === "explicit") this.#adopt(definition);
  }

  derivePublicKey({ name, privateKey }: { readonly name: string; readonly privateKey: string }): void {
    const key = this.#find(privateKey);
    if (key?.kind === "private-key") this.#values.set(name, { kind: "public-key", pem: publicKeyPem(key.pem) });
    else this.pending.push(name);
  }

  /** A supplied certificate and its key come one after the other, in any order: they are put together when they fit. */
  attachKey({ name, privateKey: keyName }: SuppliedSecret): void {
    const stored = this.#values.get(name);
    if (stored?.kind !== "x509" && stored?.kind !== "x509-ca") return;
    const certificate = new X509Certificate(stored.certificate);
    if (new Date(certificate.validTo) <= this.#clock.now) this.warnings.push(`certificate ${name} ended at ${stored.notAfter}`);
    const key = keyName === undefined ? undefined : this.#find(keyName);
    const fits = key?.kind === "private-key" && certificate.checkPrivateKey(this.#key(key.pem));
    if (key !== undefined && !fits) this.warnings.push(`certificate ${name} was not issued for the present key ${keyName}`);
    this.#values.set(name, { ...stored, privateKey: fits ? key.pem : undefined });
  }

  #find(name: string): StoredSecret | undefined {
    return this.#values.get(name) ?? this.#imports.get(name);
  }

  #key(pem: string): KeyObject {
    const known = this.#keys.get(pem);
    if (known !== undefined) return known;
    const key = createPrivateKey(pem);
    this.#keys.set(pem, key);
    return key;
  }

  #issue(definition: GeneratedCertificate): void {
    const { name, kind, issuer: issuerName } = definition;
    const own = this.#find(definition.privateKey);
    if (issuerName !== undefined) this.make(issuerName);
    const issuer = issuerName === undefined ? undefined : this.#find(issuerName);
    const canSign = issuer?.kind === "x509-ca" && issuer.privateKey !== undefined;
    if (own?.kind !== "private-key" || (issuerName !== undefined && !canSign)) {
      this.pending.push(name);
      return;
    }
    const request = {
      isCa: kind === "x509-ca",
      commonName: commonNameOf(definition),
      san: definition.san,
      endpoint: definition.endpoint,
      validForSeconds: definition.validForSeconds,
      control: definition.x509,
      ...(this.#isDevelopment ? { comment: DEVELOPMENT_COMMENT } : {}),
    };
    const ownKey = this.#key(own.pem);
    const keys =
      issuer?.kind === "x509-ca" && issuer.privateKey !== undefined
        ? { publicKey: createPublicKey(ownKey), issuer: { certificate: issuer.certificate, privateKey: this.#key(issuer.privateKey) } }
        : { ownKey };
    const { pem, notAfter, renewAfter, shortened } = issueCertificate(request, keys, this.#clock);
    if (shortened) this.warnings.push(`certificate ${name} ends with its issuer ${issuerName} at ${notAfter.toISOString()}`);
    const endless = definition.validForSeconds === undefined && definition.x509?.notAfter === undefined && !shortened;
    this.#values.set(name, {
      kind,
      certificate: pem,
      chain: issuer?.kind === "x509-ca" ? [issuer.certificate, ...issuer.chain] : [],
      privateKey: own.pem,
      renewAfter: endless || definition.x509?.notAfter !== undefined ? undefined : renewAfter.toISOString(),
      notAfter: notAfter.toISOString(),
    });
  }

  /** An explicit certificate: its key must match (SL-126), its issuer must have signed it (SL-127). */
  #adopt({ name, kind, value, privateKey, issuer: issuerName }: ExplicitCertificate): void {
    const [pem = "", ...rest] = value;
    const certificate = new X509Certificate(pem);
    const key = privateKey === undefined ? undefined : this.#find(privateKey);
    if (privateKey !== undefined && key?.kind !== "private-key") {
      this.pending.push(name);
      return;
    }
    if (key?.kind === "private-key" && !certificate.checkPrivateKey(this.#key(key.pem))) {
      throw new SecretError("KEY_MISMATCH", name, `certificate ${name} was not issued for the key ${privateKey}`, { rule: "SL-126" });
    }
    if (issuerName !== undefined) this.make(issuerName);
    const issuer = issuerName === undefined ? undefined : this.#find(issuerName);
    if (issuerName !== undefined && issuer?.kind !== "x509-ca") {
      this.pending.push(name);
      return;
    }
    if (issuer?.kind === "x509-ca") this.#checkIssued(name, certificate, issuerName ?? "", issuer);
    const chain = issuer?.kind === "x509-ca" ? [issuer.certificate, ...issuer.chain] : rest;
    this.#values.set(name, {
      kind,
      certificate: pem,
      chain,
      privateKey: key?.kind === "private-key" ? key.pem : undefined,
      renewAfter: undefined,
      notAfter: new Date(certificate.validTo).toISOString(),
    });
  }

  #checkIssued(name: string, certificate: X509Certificate, issuerName: string, issuer: StoredCertificate): void {
    const ca = new X509Certificate(issuer.certificate);
    if (certificate.checkIssued(ca) && certificate.verify(ca.publicKey)) return;
    throw new SecretError("ISSUER_MISMATCH", name, `certificate ${name} was not issued by ${issuerName}`, { rule: "SL-127" });
  }
}

const MAX_COMMON_NAME = 64;

/** SL-130: `common_name`, else the first DNS name, else the secret's name; the last also when a derived one is too long. */
function commonNameOf({ name, commonName, san }: GeneratedCertificate): string {
  if (commonName !== undefined) return commonName;
  const derived = san.find(({ kind }) => kind === "dns")?.value ?? name;
  return derived.length <= MAX_COMMON_NAME ? derived : name.slice(0, MAX_COMMON_NAME);
}
