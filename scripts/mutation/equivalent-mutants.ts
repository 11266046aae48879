import type { Change } from "./find-mutants.ts";

/** A change that no test can notice, since the program does the same with it. Each stands for one mutant of that file with that text. */
export interface EquivalentMutant {
  readonly file: string;
  readonly change: Change;
  /** The first line of what is changed, as the run prints it. */
  readonly text: string;
  readonly why: string;
}

const CURVE = "only keys of kind ec have a curve: the operand is there for the compiler";
const RSA = "only keys of kind rsa have a modulus: the operand is there for the compiler";
const FASTER = "the other way to the same answer, only slower";
const WIPES = "wipes memory after use, which no answer shows";
const KINDS_AGREE = "isSignedBy asks only about schemes of the key's own kind";
const inAttestation = (file: string, change: Change, text: string, why: string): EquivalentMutant => ({
  ...{ file: `packages/attestation/src/${file}`, change, text, why },
});

export const EQUIVALENT_MUTANTS: readonly EquivalentMutant[] = [
  inAttestation("snp/verify-snp-report.ts", "operand removed", 'key.kind !== "ec"', CURVE),
  inAttestation("nitro/verify-nitro-document.ts", "operand removed", 'key.kind !== "ec"', CURVE),
  inAttestation("corim/signed-corim.ts", "operand removed", 'key.kind === "ec"', CURVE),
  inAttestation("node/node-statement.ts", "operand removed", 'publicKey.kind === "ec"', CURVE),
  inAttestation("tpm/verify-tpm-quote.ts", "operand removed", 'key.kind === "rsa"', RSA),
  inAttestation(
    ...(["tpm/verify-tpm-quote.ts", "check removed", 'key.kind !== "rsa"'] as const),
    "isSignedBy refuses a key of another kind than the scheme's, whatever the salt",
  ),
  inAttestation("tpm/verify-tpm-quote.ts", "inverted", "scheme satisfies never", "no scheme is left when this line is reached"),
  inAttestation(
    ...(["sgx/verify-quote.ts", "inverted", "pckChain === undefined"] as const),
    "two labels of cache entries change places: each still names one kind of entry",
  ),
  inAttestation(
    ...(["tdx/qgs-message.ts", "statement removed", "view.setUint32(4, GET_QUOTE_REQUEST, true)"] as const),
    "the number of that request is zero, and zero stands there",
  ),
  inAttestation("crypto/node-provider.ts", "check removed", "first !== undefined && parts.length === 1", FASTER),
  inAttestation("crypto/node-provider.ts", "operand removed", "first !== undefined", FASTER),
  inAttestation("crypto/node-provider.ts", "inverted", "first !== undefined", FASTER),
  inAttestation("crypto/node-provider.ts", "check removed", "known !== undefined", FASTER),
  inAttestation("crypto/node-provider.ts", "statement removed", "importedKeys.set(key, imported)", FASTER),
  inAttestation("crypto/node-provider.ts", "inverted", "scheme satisfies never", "no scheme is left when this line is reached"),
  inAttestation("crypto/sm3.ts", "statement removed", "this.#words.fill(0)", WIPES),
  inAttestation("crypto/sm3.ts", "statement removed", "this.#state.fill(0)", WIPES),
  inAttestation("crypto/sm3.ts", "statement removed", "this.roundClean()", WIPES),
  inAttestation("crypto/web-signature.ts", "operand removed", 'scheme.kind !== "ecdsa"', KINDS_AGREE),
  inAttestation("crypto/web-signature.ts", "operand removed", 'key.kind !== "ec"', KINDS_AGREE),
];
