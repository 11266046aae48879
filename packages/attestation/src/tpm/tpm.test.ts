import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { type SoftwareTpm, startSoftwareTpm } from "../testing/software-tpm.ts";
import { readPublicKey } from "../x509/public-key.ts";
import { credentialEntropyBytes, makeCredential } from "./make-credential.ts";
import { assertAttestationKey, parseTpmPublic, type TpmPublic } from "./tpm-public.ts";
import { parseTpmQuote, parseTpmSignature } from "./tpm-quote.ts";
import { type PcrBanks, type TpmQuoteInput, verifyTpmQuote } from "./verify-tpm-quote.ts";

let tpm: SoftwareTpm;
let attestationKey: TpmPublic;
let endorsementKey: TpmPublic;
let input: TpmQuoteInput;
const nonce = Uint8Array.from({ length: 64 }, (_, index) => index);
const publicArea = (file: string) => parseTpmPublic(tpm.read(file).subarray(2)); // without the size of TPM2B_PUBLIC
const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

function quotePcrs(selection: string, key = "ak.ctx", ...options: readonly string[]): TpmQuoteInput {
  tpm.tool(
    "quote",
    ...options,
    "-c",
    key,
    "-l",
    selection,
    "-q",
    nonce.toHex(),
    "-m",
    "quote.msg",
    "-s",
    "quote.sig",
    "-F",
    "values",
    "-o",
    "pcrs.bin",
  );
  const message = tpm.read("quote.msg");
  const banks = new Map<string, Map<number, Uint8Array>>();
  const values = tpm.read("pcrs.bin");
  let at = 0;
  for (const { hash, pcrs } of parseTpmQuote(message).pcrSelect) {
    const size = hash === "sha1" ? 20 : 32;
    const start = at;
    banks.set(hash, new Map(pcrs.map((pcr, index) => [pcr, values.subarray(start + index * size, start + (index + 1) * size)])));
    at += pcrs.length * size;
  }
  return { message, signature: tpm.read("quote.sig"), attestationKey: attestationKey.key, pcrs: banks as PcrBanks, nonce }; // banks by the names of the quote
}

before(async () => {
  tpm = await startSoftwareTpm();
  tpm.tool("createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub");
  tpm.tool("createak", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "ecc", "-g", "sha256", "-s", "ecdsa", "-u", "ak.pub", "-n", "ak.name");
  tpm.tool("pcrextend", `8:sha256=${"ab".repeat(32)}`);
  attestationKey = publicArea("ak.pub");
  endorsementKey = publicArea("ek.pub");
  input = quotePcrs("sha256:0,8,23");
});
after(() => tpm[Symbol.asyncDispose]());

test("a quote of a real TPM verifies and gives the PCRs that were quoted", () => {
  const { quote, pcrs } = verifyTpmQuote(input);
  assert.deepEqual(quote.pcrSelect, [{ hash: "sha256", pcrs: [0, 8, 23] }]);
  assert.equal(
    pcrs.get("sha256")?.get(8)?.toHex(),
    tpm
      .tool("pcrread", "sha256:8")
      .match(/0x([0-9A-F]{64})/)?.[1]
      ?.toLowerCase(),
  );
  assert.notEqual(quote.clock, 0n);
});

test("PCRs that were not quoted do not come out", () => {
  const banks = new Map([["sha256" as const, new Map([...(input.pcrs.get("sha256") ?? []), [7, new Uint8Array(32)]])]]);
  assert.deepEqual(
    [
      ...(verifyTpmQuote({ ...input, pcrs: banks })
        .pcrs.get("sha256")
        ?.keys() ?? []),
    ],
    [0, 8, 23],
  );
});

test("an RSA key with PSS, and several banks in one quote", () => {
  tpm.tool("createak", "-C", "ek.ctx", "-c", "rsa.ctx", "-G", "rsa", "-g", "sha256", "-s", "rsapss", "-u", "rsa.pub", "-n", "rsa.name");
  const quoted = quotePcrs("sha1:0,8+sha256:8", "rsa.ctx", "--scheme", "rsapss");
  const { pcrs } = verifyTpmQuote({ ...quoted, attestationKey: publicArea("rsa.pub").key });
  assert.deepEqual([...pcrs.keys()], ["sha1", "sha256"]);
});

test("hazard A13: nonce wrong, a prefix, or empty", () => {
  for (const wrong of [nonce.subarray(1), nonce.subarray(0, 63), new Uint8Array(0)]) {
    assert.throws(() => verifyTpmQuote({ ...input, nonce: wrong }), refusedFor("nonce-mismatch"));
  }
});

test("hazard A13, field/2022-unquoted-pcrs: a PCR value that was not quoted, or none", () => {
  const bank = new Map(input.pcrs.get("sha256"));
  bank.set(8, new Uint8Array(32));
  assert.throws(() => verifyTpmQuote({ ...input, pcrs: new Map([["sha256", bank]]) }), refusedFor("pcr-mismatch"));
  assert.throws(() => verifyTpmQuote({ ...input, pcrs: new Map() }), refusedFor("pcr-mismatch"));
});

test("hazard A13: attestation of another type, or not made by a TPM", () => {
  tpm.tool("gettime", "-c", "ak.ctx", "-q", nonce.toHex(), "--attestation", "time.msg", "-o", "time.sig", "-g", "sha256");
  assert.throws(
    () => verifyTpmQuote({ ...input, message: tpm.read("time.msg"), signature: tpm.read("time.sig") }),
    refusedFor("not-a-quote"),
  );
  const message = Uint8Array.from(input.message).fill(0, 0, 1);
  assert.throws(() => verifyTpmQuote({ ...input, message }), refusedFor("not-tpm-generated"));
});

test("hazard A1: no bit of message or signature may change", () => {
  for (const part of ["message", "signature"] as const) {
    const bytes = part === "message" ? input.message : tpm.read("quote.sig");
    for (let bit = 0; bit < bytes.length * 8; bit += 3) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => verifyTpmQuote({ ...input, [part]: changed }), EvidenceError, `${part} bit ${bit}`);
    }
  }
});

test("hazard A13: only a restricted key that never leaves its TPM is an attestation key", () => {
  assertAttestationKey(attestationKey);
  tpm.tool("createprimary", "-C", "e", "-c", "primary.ctx");
  tpm.tool(
    "create",
    "-C",
    "primary.ctx",
    "-G",
    "ecc",
    "-a",
    "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign",
    "-u",
    "free.pub",
    "-r",
    "free.priv",
  );
  assert.throws(() => assertAttestationKey(publicArea("free.pub")), refusedFor("policy"));
  assert.throws(() => assertAttestationKey(endorsementKey), refusedFor("policy"));
});

test("a key's name is the one the TPM gives it", () => {
  assert.equal(attestationKey.name.toHex(), tpm.read("ak.name").toHex());
});

for (const { algorithm, context, area } of [
  { algorithm: "rsa", context: "ek.ctx", area: "ek.pub" },
  { algorithm: "ecc", context: "ek-ecc.ctx", area: "ek-ecc.pub" },
]) {
  test(`hazard A13: a credential opens only in the TPM that holds both keys (endorsement key of type ${algorithm})`, () => {
    if (algorithm === "ecc") tpm.tool("createek", "-G", "ecc", "-c", context, "-u", area);
    const holder = publicArea(area);
    const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 7);
    const activate = (name: Uint8Array) => {
      const entropy = new Uint8Array(credentialEntropyBytes(holder)).fill(5);
      const { idObject, encryptedSecret } = makeCredential(holder, name, secret, entropy);
      tpm.write("credential", Buffer.concat([Buffer.from("badcc0de00000001", "hex"), idObject, encryptedSecret]));
      tpm.tool("startauthsession", "--policy-session", "-S", "session.ctx");
      try {
        tpm.tool("policysecret", "-S", "session.ctx", "-c", "e");
        tpm.tool("activatecredential", "-c", "ak.ctx", "-C", context, "-i", "credential", "-o", "secret", "-P", "session:session.ctx");
        return tpm.read("secret");
      } finally {
        tpm.tool("flushcontext", "session.ctx");
      }
    };
    assert.equal(activate(attestationKey.name).toHex(), secret.toHex());
    const other = Uint8Array.from(attestationKey.name).fill(9, 10, 11);
    assert.throws(() => activate(other), /integrity check failed/);
  });
}

test("a credential is made only with what it needs, for keys that TPMs endorse with", () => {
  const make = (holder: TpmPublic, secretBytes: number, entropyBytes: number) =>
    makeCredential(holder, attestationKey.name, new Uint8Array(secretBytes), new Uint8Array(entropyBytes));
  assert.throws(() => make(endorsementKey, 32, 31), /31 random bytes, not 32/);
  assert.throws(() => make(endorsementKey, 33, 32), /at most 32 fit/);
  assert.throws(() => make({ ...endorsementKey, symmetricBits: undefined }, 32, 32), /with AES/);
  assert.throws(() => make({ ...endorsementKey, symmetricBits: 192 }, 32, 32), /with AES/);
  assert.equal(make({ ...endorsementKey, symmetricBits: 256 }, 32, 32).encryptedSecret.length, 258);
  for (const pair of [generateKeyPairSync("ec", { namedCurve: "P-521" }), generateKeyPairSync("ed25519")]) {
    const key = readPublicKey(pair.publicKey.export({ type: "spki", format: "der" }));
    assert.throws(() => make({ ...endorsementKey, key }, 32, 32), /RSA, P-256 or P-384/);
  }
});

test("hazard A8: keys on other curves and short RSA keys sign nothing", () => {
  for (const pair of [generateKeyPairSync("ec", { namedCurve: "secp521r1" }), generateKeyPairSync("rsa", { modulusLength: 1024 })]) {
    assert.throws(
      () => verifyTpmQuote({ ...input, attestationKey: readPublicKey(pair.publicKey.export({ type: "spki", format: "der" })) }),
      refusedFor("unsupported-algorithm"),
    );
  }
});

test("the parsers accept or say EVIDENCE_MALFORMED, whatever the input", () => {
  for (const [parse, file] of [
    [parseTpmQuote, "quote.msg"],
    [parseTpmSignature, "quote.sig"],
    [parseTpmPublic, "ak.pub"],
  ] as const) {
    const valid = file === "ak.pub" ? tpm.read(file).subarray(2) : tpm.read(file);
    const nearlyValid = fc
      .tuple(fc.nat(valid.length - 1), fc.nat(255))
      .map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
    const cut = fc.nat(valid.length - 1).map((length) => valid.subarray(0, length));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), nearlyValid, cut), (bytes) => {
        try {
          parse(bytes);
        } catch (error) {
          assert(error instanceof EvidenceError && error.code === "EVIDENCE_MALFORMED", String(error));
        }
      }),
    );
  }
});
