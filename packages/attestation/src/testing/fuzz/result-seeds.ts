import { sign } from "node:crypto";
import { encode, Tagged } from "cborg";
import { encodeBundle } from "../../../../collateral/src/bundle/collateral-bundle.ts";
import { signatureStructure } from "../../nitro/cose-sign1.ts";
import { FMSPC, mintedNow, mintIntel } from "../mint-intel.ts";
import { corims, json, p256 } from "./fuzz-seeds.ts";

const resultClaims = {
  eat_profile: "tag:github.com,2023:veraison/ear",
  "ear.verifier-id": { developer: "vouchsafe", build: "cas 0.1.0" },
  sub: "patients-7/api",
  iat: 1_780_000_000,
  exp: 1_780_000_300,
  submods: {
    snp: {
      "ear.status": "affirming",
      "ear.trustworthiness-vector": { hardware: 2, executables: 2 },
      "ear.appraisal-policy-id": "sha256:00",
      "ear.veraison.annotated-evidence": { kind: "snp", debug: false },
    },
  },
};
/** Claims of an attestation result, as they stand in a token whose signature holds. */
export const resultPayloads = (): readonly Uint8Array[] => [json(resultClaims)];

export const verifierSpki: Uint8Array = p256.publicKey.export({ type: "spki", format: "der" });

/** With the signer's own map, and with claims of a CWT. */
export function signedCorims(): readonly Uint8Array[] {
  const [payload = new Uint8Array(0)] = corims();
  const signer = new Map<number, unknown>([
    [0, new Map([[0, "ACME"]])],
    [
      1,
      new Map<number, unknown>([
        [0, new Tagged(1, 1_700_000_000)],
        [1, 1_900_000_000],
      ]),
    ],
  ]);
  const claims = new Map<number, unknown>([
    [1, "https://acme.example"],
    [4, 1_900_000_000],
  ]);
  return [new Map<number, unknown>([[8, encode(signer)]]), new Map<number, unknown>([[15, claims]])].map((statement) => {
    const header = encode(new Map<number, unknown>([[1, -7], [3, "application/rim+cbor"], ...statement]));
    const signature = sign("sha256", signatureStructure(header, payload), { key: p256.privateKey, dsaEncoding: "ieee-p1363" });
    return encode(new Tagged(18, [header, new Map(), payload, Uint8Array.from(signature)]));
  });
}

/** One document without a chain, one with. */
export function collateralBundles(): readonly Uint8Array[] {
  const { collateral } = mintIntel();
  const fetchedAt = mintedNow;
  const documents = [
    {
      request: { kind: "root-ca-crl" } as const,
      body: collateral.rootCaCrl ?? new Uint8Array(0),
      chain: undefined,
      fetchedAt,
      source: "s",
    },
    {
      request: { kind: "tcb-info", tee: "sgx", fmspc: FMSPC, update: "standard" } as const,
      body: Uint8Array.of(1),
      chain: Uint8Array.of(2),
      fetchedAt,
      source: "t",
    },
  ];
  return [new TextEncoder().encode(encodeBundle({ createdAt: mintedNow, documents }))];
}
