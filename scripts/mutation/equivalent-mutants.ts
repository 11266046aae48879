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
const SAME_KIND = "constraints of other kinds were left out before: the operand is there for the compiler";
const ONE_LENGTH = "where one coordinate alone has another length, no provider imports the point";
const KEPT_SMALL = "forgets what is empty: only memory shows it";
/** Arguments about the files below a folder. */
const within =
  (folder: string) =>
  (file: string, change: Change, text: string, why: string): EquivalentMutant => ({
    file: `packages/${folder}/${file}`,
    change,
    text,
    why,
  });
const inAttestation = within("attestation/src");
const inProtocol = within("protocol/src");
const inCas = within("cas/src");
const inPolicy = within("policy/src");
const inImage = within("image/src");
const inRuntime = within("runtime/src");
const inAgent = within("kubernetes/src/las");
const SOONER = "hears sooner that a caller is gone: only how much is done in vain differs";
const VERSIONS_STAY = "the version that an instance was given stays, with its service: for the compiler";
const NOTHING_LEFT = "no entry is left when this line is reached";
const ASKED_TWICE = "a reader of a section gives nothing where it reports an error: either of the two refuses";

export const EQUIVALENT_MUTANTS: readonly EquivalentMutant[] = [
  inProtocol("cas-chain.ts", "operand removed", "software === undefined", "a chain of three has a second: for the compiler"),
  inProtocol("cas-chain.ts", "operand removed", "root === undefined", "a chain of three has a third: for the compiler"),
  inCas("service/appraise-hardware.ts", "operand removed", "leastVersion !== undefined", "no number is above none: for the compiler"),
  inCas("service/record-delivery.ts", "check removed", "!hasLimits(service)", "without limits nothing is counted either way"),
  inCas("service/report-tag.ts", "check removed", "version === undefined || service === undefined", VERSIONS_STAY),
  inCas("service/report-tag.ts", "operand removed", "version === undefined", VERSIONS_STAY),
  inCas("service/report-tag.ts", "operand removed", "service === undefined", VERSIONS_STAY),
  inCas("audit/verify-audit-log.ts", "operand removed", "last !== undefined", "no number is less than none: for the compiler"),
  inCas(
    "audit/verify-audit-log.ts",
    "check removed",
    "!(error instanceof LogError)",
    "nothing else is thrown there, but for a fault of the program",
  ),
  inCas("service/activations.ts", "check removed", "open?.size === 0", KEPT_SMALL),
  inCas("service/activations.ts", "statement removed", "this.#connected.delete(target)", KEPT_SMALL),
  inCas("service/activations.ts", "operand removed", "record === undefined", "no record has no instance: for the compiler"),
  inCas("service/activations.ts", "operand removed", "maxActivations !== undefined", "no count reaches none: for the compiler"),
  inCas("service/activations.ts", "operand removed", "maxRunning !== undefined", "no count reaches none: for the compiler"),
  inCas("service/attest-service.ts", "operand removed", "version === undefined", "no service is found in no version: for the compiler"),
  inCas(
    "service/attest-service.ts",
    "check removed",
    "secret === undefined",
    "the language takes nothing but base32 for it (SL-96): for the compiler",
  ),
  inImage("signing.ts", "operand removed", "cause instanceof Error", "reading a file fails with such an error: for the compiler"),
  inImage("signing.ts", "operand removed", '"code" in cause', "reading a file fails with such an error: for the compiler"),
  inRuntime(
    "evidence/node-agent-source.ts",
    "check removed",
    "!(error instanceof ProtocolError)",
    "asking an agent fails with nothing else",
  ),
  inPolicy("access-evaluation.ts", "inverted", "entry satisfies never", NOTHING_LEFT),
  inPolicy("resolve-sections.ts", "operand removed", "read !== undefined", ASKED_TWICE),
  inPolicy("resolve-sections.ts", "operand removed", "reporter.errorCount === 0", ASKED_TWICE),
  inPolicy("resolve-sections.ts", "operand removed", "first?.path === undefined", "what is not read has an error: for the compiler"),
  inPolicy("resolve-sections.ts", "operand removed", "value === null", "no section holds nothing at all: for the compiler"),
  inPolicy("language/access.ts", "operand removed", 'old.kind === "ok"', "what is no Base58Check has no version: for the compiler"),
  inPolicy("language/access.ts", "operand removed", 'placeholder?.kind === "placeholder"', "others were refused before: for the compiler"),
  inPolicy("language/access.ts", "check removed", 'place.node.kind !== "map"', "only mappings come here: for the compiler"),
  inPolicy("language/access.ts", "inverted", 'entry.kind === "signer"', "two labels change places: each still names one kind of key"),
  inAgent("container-files.ts", "operand removed", "stats === undefined", "only a file that goes between two looks has none"),
  inAgent("agent-server.ts", "statement removed", "await setImmediate()", SOONER),
  inAgent("agent-server.ts", "operand removed", "socket.readableEnded", SOONER),
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
  inAttestation(
    "x509/certificate-profile.ts",
    "operand removed",
    '"text" in name',
    "names without a text have no empty one: for the compiler",
  ),
  inAttestation("x509/distinguished-name.ts", "check removed", "isSameBytes(a.bytes, b.bytes)", FASTER),
  inAttestation("x509/name-constraints.ts", "operand removed", 'constraint.kind === "dns"', SAME_KIND),
  inAttestation("x509/name-constraints.ts", "operand removed", 'constraint.kind === "ip"', SAME_KIND),
  inAttestation("x509/name-constraints.ts", "operand removed", 'constraint.kind === "directory"', SAME_KIND),
  inAttestation("x509/name-constraints.ts", "operand removed", 'constraint.kind === "email"', SAME_KIND),
  inAttestation("x509/name-constraints.ts", "operand removed", 'constraint.kind === "uri"', SAME_KIND),
  inAttestation("x509/name-constraints.ts", "operand removed", 'name.kind === "other"', SAME_KIND),
  inAttestation("x509/name-constraints.ts", "operand removed", 'name.kind !== "dns"', SAME_KIND),
  inAttestation("x509/name-constraints.ts", "operand removed", 'constraint.kind !== "dns"', SAME_KIND),
  inAttestation(
    "x509/name-constraints.ts",
    "check removed",
    "parts === undefined",
    "what is no mailbox was refused before: for the compiler",
  ),
  inAttestation("x509/der-reader.ts", "operand removed", "tag === undefined", "where there is no tag there is no length: for the compiler"),
  inAttestation("x509/public-key.ts", "operand removed", "x.length !== length", ONE_LENGTH),
  inAttestation("x509/public-key.ts", "operand removed", "y.length !== length", ONE_LENGTH),
  inAttestation("x509/signature-scheme.ts", "operand removed", "curve === undefined", "no vendor's curve is undefined: for the compiler"),
  inAttestation("x509/certificate.ts", "operand removed", 'typeof key === "string"', "such a key has a fault: for the compiler"),
  inAttestation("tlog/checkpoint.ts", "operand removed", "size === undefined", "no line is no number: for the compiler"),
  inAttestation("tlog/checkpoint.ts", "operand removed", "root === undefined", "no line is no root: for the compiler"),
  inAttestation("tlog/signed-note.ts", "operand removed", "signature.length !== 64", "no provider takes another length for a signature"),
];
