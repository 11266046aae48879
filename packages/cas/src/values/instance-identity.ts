/** The predefined identity of an instance (`self::certificate`, `self::private_key`, `self::ca`): definitions as a session might write them. */
import { dnsProblem, type GeneratedCertificate, type GeneratedPrivateKey, type Session } from "@vouchsafe/policy";

const MAX_COMMON_NAME = 64;
const VALID_FOR_SECONDS = 30 * 86_400;
const SHARING = { origin: "generated", exports: [], exportPublic: false } as const;

function key(name: string): GeneratedPrivateKey {
  return { ...SHARING, kind: "private-key", name, keyType: "P-256", migrate: false, scope: "instance", rotate: undefined };
}

const CERTIFICATE = { ...SHARING, endpoint: undefined, scope: "instance", epochOnUpdate: false } as const;
const CONTROL = {
  subject: [],
  keyUsage: undefined,
  extKeyUsage: undefined,
  permittedDns: [],
  uris: [],
  notAfter: undefined,
  maxPathLength: undefined,
} as const;

/** The session's CA for identities, whose key never leaves the CAS. */
export function identityAuthority(session: Session): Session {
  const ca: GeneratedCertificate = {
    ...CERTIFICATE,
    kind: "x509-ca",
    name: "self::ca",
    privateKey: "self::ca_key",
    issuer: undefined,
    commonName: `identities of ${session.name}`.slice(0, MAX_COMMON_NAME),
    san: [],
    validForSeconds: undefined,
    x509: { ...CONTROL, maxPathLength: 0 },
  };
  return { ...session, secrets: [key("self::ca_key"), ca] };
}

/** Key and certificate of one instance, for either end of a TLS connection; named after session, service and instance. */
export function instanceIdentity(session: Session, service: string, instanceId: string): Session {
  const certificate: GeneratedCertificate = {
    ...CERTIFICATE,
    kind: "x509",
    name: "self::certificate",
    privateKey: "self::private_key",
    issuer: "self::ca",
    commonName: service.slice(0, MAX_COMMON_NAME),
    san: [
      ...(dnsProblem(service) === undefined ? [{ kind: "dns", value: service } as const] : []),
      { kind: "uri", value: `vouchsafe://${session.name === "/" ? "" : session.name}/${service}/${instanceId}` },
    ],
    validForSeconds: VALID_FOR_SECONDS,
    x509: { ...CONTROL, extKeyUsage: ["serverAuth", "clientAuth"] },
  };
  return { ...session, secrets: [key("self::private_key"), certificate] };
}
