import { agreesDer, agreesEcPoint, agreesJwk, agreesNamedCurve, agreesPem, agreesRaw } from "./agreement.ts";
import { decrypts, isGmacAuthentic, opensDeterministic, opensSealed, unwraps } from "./ciphers.ts";
import { decryptsByPassword, derivesByHkdf, derivesByPbkdf2, isAuthentic, isPrime } from "./derivation.ts";
import { decapsulatesExpanded, decapsulatesFromSeed, encapsulates, generatesKeyPair, isMlDsaSigned, signsMlDsa } from "./lattice.ts";
import { NotAvailable, StricterRule } from "./refusals.ts";
import { decryptsOaep, decryptsPkcs1 } from "./rsa-decryption.ts";
import {
  isDsaP1363Signed,
  isDsaSigned,
  isEcdsaP1363Signed,
  isEcdsaSigned,
  isEddsaSigned,
  isPkcs1Signed,
  isPssSigned,
  isPssSignedWithParameters,
  signsPkcs1,
} from "./signatures.ts";
import type { Primitive, PrimitiveTest } from "./wycheproof-test.ts";

/** By the type of a group of tests. */
const PRIMITIVES = new Map<string, Primitive>([
  ["AeadTest", opensSealed],
  ["DaeadTest", opensDeterministic],
  ["IndCpaTest", decrypts],
  ["KeywrapTest", unwraps],
  ["MacTest", isAuthentic],
  ["MacWithIvTest", isGmacAuthentic],
  ["EcdsaVerify", isEcdsaSigned],
  ["EcdsaP1363Verify", isEcdsaP1363Signed],
  ["DsaVerify", isDsaSigned],
  ["DsaP1363Verify", isDsaP1363Signed],
  ["EddsaVerify", isEddsaSigned],
  ["RsassaPkcs1Verify", isPkcs1Signed],
  ["RsassaPkcs1Generate", signsPkcs1],
  ["RsassaPssVerify", isPssSigned],
  ["RsassaPssWithParametersVerify", isPssSignedWithParameters],
  ["RsaesOaepDecrypt", decryptsOaep],
  ["RsaesPkcs1Decrypt", decryptsPkcs1],
  ["HkdfTest", derivesByHkdf],
  ["PbkdfTest", derivesByPbkdf2],
  ["PbeTest", decryptsByPassword],
  ["XdhComp", agreesRaw],
  ["XdhAsnComp", agreesDer],
  ["XdhPemComp", agreesPem],
  ["XdhJwkComp", agreesJwk],
  ["EcdhTest", agreesNamedCurve],
  ["EcdhEcpointTest", agreesEcPoint],
  ["EcdhPemTest", agreesPem],
  ["EcdhWebcryptoTest", agreesJwk],
  ["MLKEMTest", decapsulatesFromSeed],
  ["MLKEMDecapsValidationTest", decapsulatesExpanded],
  ["MLKEMEncapsTest", encapsulates],
  ["MLKEMKeyGen", generatesKeyPair],
  ["MlDsaVerify", isMlDsaSigned],
  ["MlDsaSign", signsMlDsa],
  ["PrimalityTest", isPrime],
]);

/**
 * Whether a primitive, used as this product uses it, accepts a test's input and gives its output. What throws is refused; `StricterRule` and
 * `NotAvailable` pass through.
 */
export async function isPrimitiveTestAccepted(given: PrimitiveTest): Promise<boolean> {
  const primitive = PRIMITIVES.get(given.group.type);
  if (primitive === undefined) throw new NotAvailable(`tests of type ${given.group.type} are about nothing that node:crypto has`);
  try {
    return await primitive(given);
  } catch (error) {
    if (error instanceof StricterRule || error instanceof NotAvailable) throw error;
    return false; // keys, nonces and lengths that node:crypto does not take
  }
}
