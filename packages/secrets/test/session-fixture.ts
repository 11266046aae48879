import assert from "node:assert/strict";
import { parseSession, type Session } from "@vouchsafe/policy";
import { type Materialised, type MaterialiseOptions, materialise, type StoredCertificate, systemRandomness } from "../src/index.ts";

export const NOW = new Date("2026-01-02T12:00:00Z");

/** A session with the given `secrets:` lines. */
export function sessionWith(secrets: string, name = "shop"): Session {
  const text = `version: "0.3.12"\nname: ${name}\nsecrets:\n${secrets}`;
  const { session, diagnostics } = parseSession(text);
  assert(session !== undefined, JSON.stringify(diagnostics, undefined, 1));
  return session;
}

export function valuesOf(secrets: string, options: Partial<MaterialiseOptions> = {}): Materialised {
  return materialise(sessionWith(secrets), { now: NOW, random: systemRandomness, ...options });
}

export function certificateOf({ values }: Materialised, name: string): StoredCertificate {
  const value = values.get(name);
  assert(value?.kind === "x509" || value?.kind === "x509-ca", `${name} is no certificate`);
  return value;
}

/** Root, intermediate and leaf of each generated key type, with names, addresses and purposes. */
export function chainSecrets(keyType: string): string {
  return `
  - {name: root_key, kind: private-key, key_type: ${keyType}}
  - {name: root, kind: x509-ca, private_key: root_key, common_name: Test root}
  - {name: middle_key, kind: private-key, key_type: ${keyType}}
  - {name: middle, kind: x509-ca, private_key: middle_key, issuer: root, common_name: Test intermediate}
  - {name: key, kind: private-key, key_type: ${keyType}}
  - {name: server, kind: x509, private_key: key, issuer: middle, endpoint: server, san: ["dns:db.example", "dns:*.shop.example", "ip:10.96.0.10", "ip:2001:db8::1"]}
  - {name: client, kind: x509, private_key: key, issuer: middle, endpoint: client, common_name: shop client, san: ["uri:spiffe://shop.example/web"]}
`;
}
