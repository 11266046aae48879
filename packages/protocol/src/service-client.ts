import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { type Evidence, encodeEvidence } from "@vouchsafe/attestation";
import type { CasAddress } from "./cas-address.ts";
import type { CasIdentity } from "./cas-chain.ts";
import { connectToCas } from "./cas-connection.ts";
import { accessTokenProof, EXPORTER_BYTES, EXPORTER_LABEL, evidenceUserData, isEqualProof, signInstanceProof } from "./channel-binding.ts";
import {
  type AttestRequest,
  type CertifyKeyRequest,
  type Configuration,
  PROTOCOL_VERSION,
  type Refusal,
  SERVICE_ALPN,
} from "./messages.ts";
import { ProtocolError } from "./protocol-error.ts";
import { ServiceConnection } from "./service-connection.ts";
import { parseServiceId, serviceName } from "./service-id.ts";

export interface AttestServiceOptions extends CasAddress {
  /** Pinned CAS key. Without it, and without an access token, anybody could pose as the CAS: the caller must warn (C-36). */
  readonly casKeyHash?: string | undefined;
  /** `SESSION/SERVICE[@OTP]`. */
  readonly serviceId: string;
  /** Gathers Evidence that covers these 64 bytes; undefined where there is none to give (`mode: none`). */
  readonly evidence: ((userData: Uint8Array, certifyKey: CertifyKey) => Promise<Evidence>) | undefined;
  /** Value of `SCONE_SERVICE_ACCESS_TOKEN`. */
  readonly accessToken?: string | undefined;
  /** The instance's own key, P-256 or Ed25519; a fresh P-256 one unless given. Keep it for a reconnection. */
  readonly instanceKey?: KeyObject | undefined;
  /** This instance has been attested before and lost its connection (C-46). */
  readonly reconnect?: boolean | undefined;
  readonly runtimeVersion: string;
  /** Limit for everything up to the answer; 55 s unless given. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A TPM's attestation key that is to be certified, and how the TPM opens a credential for it. */
export interface KeyToCertify extends Omit<CertifyKeyRequest, "type" | "version"> {
  readonly activate: (idObject: Uint8Array, encryptedSecret: Uint8Array) => Promise<Uint8Array>;
}
/** Gets a certificate (DER) for an attestation key from the CAS, over the connection that is about to be attested. Throws SERVICE_REFUSED. */
export type CertifyKey = (key: KeyToCertify) => Promise<Uint8Array>;

export interface AttestedService {
  readonly configuration: Configuration;
  /** Stays open for renewals, tags and exit; close it when the program is gone. */
  readonly connection: ServiceConnection;
  readonly cas: CasIdentity;
  readonly instanceKey: KeyObject;
}

/** The CAS refused the service: `refusal` has the first failed step and every reason. */
export class RefusedError extends ProtocolError {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super("SERVICE_REFUSED", refusal.step === undefined ? refusal.message : `${refusal.message} (step ${refusal.step})`);
    this.refusal = refusal;
  }
}

/** A TPM may make keys for many seconds. A CAS ends a connection that is not attested within 60 s. */
const TIMEOUT_MS = 55_000;
/** A CAS that is there completes a handshake in milliseconds; whoever waits longer does better to try again. */
const CONNECT_TIMEOUT_MS = 15_000;

/** A key for one instance; it lives no longer than the instance. */
export function generateInstanceKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/**
 * Attests and is configured in one round trip over one fresh TLS connection (C-34, C-35).
 * Throws CAS_UNREACHABLE, CAS_IDENTITY (nothing was sent), SERVICE_REFUSED, PROTOCOL_VIOLATION, CONNECTION_LOST, and what `evidence` throws.
 */
export async function attestService(options: AttestServiceOptions): Promise<AttestedService> {
  const id = parseServiceId(options.serviceId);
  if (id === undefined) {
    const remedy = "Set SCONE_CONFIG_ID to SESSION/SERVICE, followed by @ and the one-time password where the session asks for one.";
    throw new ProtocolError("PROTOCOL_VIOLATION", "the service id is not SESSION/SERVICE or SESSION/SERVICE@PASSWORD", { remedy });
  }
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  const { socket, identity } = await connectToCas({
    host: options.host,
    port: options.port,
    pin: { casKeyHash: options.casKeyHash },
    alpn: SERVICE_ALPN,
    timeoutMs: Math.min(timeoutMs, CONNECT_TIMEOUT_MS),
    signal: options.signal, // its own time limit says which step it was
  });
  const connection = new ServiceConnection(socket);
  try {
    const instanceKey = options.instanceKey ?? generateInstanceKey();
    const spki = publicKeyOf(instanceKey);
    const exporter = socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
    const userData = evidenceUserData({ exporter, casKey: identity.casKey, instanceKey: spki, service: serviceName(id) });
    const certifyKey: CertifyKey = (key) => certifyOver(connection, key, signal);
    const evidence = options.evidence === undefined ? undefined : encodeEvidence(await options.evidence(userData, certifyKey));
    const token = options.accessToken;
    const request: AttestRequest = {
      type: "attest",
      version: PROTOCOL_VERSION,
      service: options.serviceId,
      ...(evidence === undefined ? {} : { evidence }),
      instanceKey: spki.toBase64(),
      instanceProof: signInstanceProof(userData, instanceKey).toBase64(),
      ...(token === undefined ? {} : { tokenProof: accessTokenProof(token, "service", userData).toBase64() }),
      ...(options.reconnect ? { reconnect: true } : {}),
      runtimeVersion: options.runtimeVersion,
    };
    const answer = await connection.open(request, signal);
    if (answer.type === "refusal") throw new RefusedError(answer);
    if (answer.type !== "configuration") throw new ProtocolError("PROTOCOL_VIOLATION", `unexpected ${answer.type} from the CAS`);
    if (token !== undefined) assertCasKnowsToken(token, userData, answer.tokenProof);
    connection.keepAlive();
    return { configuration: answer.configuration, connection, cas: identity, instanceKey };
  } catch (error) {
    connection.close();
    if (error !== deadline.reason) throw error;
    throw new ProtocolError("CONNECTION_LOST", `the attestation did not end within ${timeoutMs / 1000} s`, { cause: error });
  }
}

async function certifyOver(connection: ServiceConnection, { activate, ...key }: KeyToCertify, signal: AbortSignal): Promise<Uint8Array> {
  const credential = await connection.open({ type: "certify-key", version: PROTOCOL_VERSION, ...key }, signal);
  if (credential.type === "refusal") throw new RefusedError(credential);
  if (credential.type !== "credential") throw new ProtocolError("PROTOCOL_VIOLATION", `unexpected ${credential.type} from the CAS`);
  const secret = await activate(Uint8Array.fromBase64(credential.idObject), Uint8Array.fromBase64(credential.encryptedSecret));
  const answer = await connection.open({ type: "activation", secret: secret.toBase64() }, signal);
  if (answer.type === "refusal") throw new RefusedError(answer);
  if (answer.type !== "key-certified") throw new ProtocolError("PROTOCOL_VIOLATION", `unexpected ${answer.type} from the CAS`);
  return Uint8Array.fromBase64(answer.certificate);
}

/** SL-95: whoever cannot prove the token is not the CAS this service was meant for; its configuration is not used. */
function assertCasKnowsToken(token: string, userData: Uint8Array, proof: string | undefined): void {
  const expected = accessTokenProof(token, "cas", userData);
  if (proof !== undefined && isEqualProof(Uint8Array.fromBase64(proof), expected)) return;
  throw new ProtocolError("CAS_IDENTITY", "the CAS does not know the service access token, its configuration is not used", {
    remedy: "Check SCONE_CAS_ADDR, and that the session has the token this service was started with.",
  });
}

const publicKeyOf = (privateKey: KeyObject): Uint8Array => createPublicKey(privateKey).export({ type: "spki", format: "der" });
