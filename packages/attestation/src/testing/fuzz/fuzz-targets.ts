import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { encodeBundle, parseBundle } from "../../../../collateral/src/bundle/collateral-bundle.ts";
import { parseHclReport, readRuntimeData } from "../../azure-vtpm/hcl-report.ts";
import { readQeIdentity } from "../../collateral/qe-identity.ts";
import { splitSignedJson } from "../../collateral/signed-json.ts";
import { readTcbInfo } from "../../collateral/tcb-info.ts";
import { EvidenceError } from "../../core/errors.ts";
import { decodeEvidence, encodeEvidence } from "../../core/evidence.ts";
import { encodeWorkload, parseWorkload } from "../../core/workload.ts";
import { parseCorim } from "../../corim/corim.ts";
import { parseDstackEventLog } from "../../dstack/dstack-event-log.ts";
import { readResultPayload } from "../../ear/attestation-result-token.ts";
import { assertDataMeasured } from "../../eventlog/compare.ts";
import { parseEventLog } from "../../eventlog/event-log.ts";
import { replayPcrs } from "../../eventlog/replay.ts";
import { inspectEvidence } from "../../inspect/describe.ts";
import { parseNitroDocument } from "../../nitro/nitro-document.ts";
import { parseNsmAttestation } from "../../nitro/nsm-request.ts";
import { encodeNodeStatement } from "../../node/create-node-statement.ts";
import { parseNodeStatement } from "../../node/node-statement.ts";
import { readPckIdentity } from "../../sgx/pck-certificate.ts";
import { parseQuote } from "../../sgx/quote.ts";
import { parseSnpCertificateTable } from "../../snp/certificate-table.ts";
import { readSnpEndorsementKey } from "../../snp/endorsement-key.ts";
import { parseSnpReport, snpProduct, snpSigningKey, splitSnpPolicy, splitSnpTcb } from "../../snp/snp-report.ts";
import { parseQgsAnswer } from "../../tdx/qgs-message.ts";
import { findTdWeaknesses, parseTdReport, TD_REPORT_10_BYTES, TD_REPORT_15_BYTES, TD_REPORT_15_EX_BYTES } from "../../tdx/td-report.ts";
import { formatCheckpoint, parseCheckpoint } from "../../tlog/checkpoint.ts";
import { openNote, parseVerifierKey } from "../../tlog/signed-note.ts";
import { parsePcrBanks } from "../../tpm/pcr-banks.ts";
import { createPrimary, quote, readNv, readNvSize, readPcrs, readPublic, TPM_HANDLES } from "../../tpm/tpm-commands.ts";
import { assertAttestationKey, parseTpmPublic } from "../../tpm/tpm-public.ts";
import { parseTpmQuote, parseTpmSignature } from "../../tpm/tpm-quote.ts";
import { ATTESTATION_KEY_TEMPLATE } from "../../tpm/tpm-templates.ts";
import { parseCertificate, parsePemCertificates, publicKeyOf } from "../../x509/certificate.ts";
import { parseRevocationList } from "../../x509/revocation-list.ts";
import * as answers from "./answer-seeds.ts";
import * as seeds from "./fuzz-seeds.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import * as results from "./result-seeds.ts";
import { VERIFIER_TARGETS } from "./verifier-targets.ts";

const statementKey = generateKeyPairSync("ed25519").privateKey;
const KEY_ID_AND_SIGNATURE_BYTES = 32 + 64;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Every parser that takes bytes from outside. Where an encoder exists, what was parsed must encode to the input again. */
export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  { name: "quote", seeds: seeds.quotes, parse: (input) => void parseQuote(input) },
  { name: "td-report", seeds: seeds.tdReports, parse: parseTd },
  { name: "snp-report", seeds: seeds.snpReports, parse: parseSnp },
  { name: "tpm-quote", seeds: seeds.tpmQuotes, parse: (input) => void parseTpmQuote(input) },
  { name: "tpm-signature", seeds: seeds.tpmSignatures, parse: (input) => void parseTpmSignature(input) },
  { name: "tpm-public", seeds: seeds.tpmPublics, parse: (input) => assertAttestationKey(parseTpmPublic(input)) },
  { name: "pcr-banks", seeds: seeds.pcrBanks, parse: (input) => void parsePcrBanks(input) },
  { name: "nitro-document", seeds: seeds.nitroDocuments, parse: (input) => void parseNitroDocument(input) },
  { name: "hcl-report", seeds: seeds.hclReports, parse: (input) => void readRuntimeData(parseHclReport(input)) },
  { name: "event-log", seeds: seeds.eventLogs, parse: parseAndReplay },
  { name: "dstack-event-log", seeds: seeds.dstackEventLogs, parse: (input) => void parseDstackEventLog(input) },
  { name: "certificate", seeds: seeds.certificates, parse: parseAnyCertificate },
  { name: "pem-certificates", seeds: seeds.pemChains, parse: (input) => void parsePemCertificates(input) },
  { name: "revocation-list", seeds: seeds.revocationLists, parse: (input) => void parseRevocationList(input) },
  { name: "tcb-info", seeds: seeds.tcbInfos, parse: (input) => void readTcbInfo(splitSignedJson(input, "tcbInfo").value) },
  {
    name: "qe-identity",
    seeds: seeds.qeIdentities,
    parse: (input) => void readQeIdentity(splitSignedJson(input, "enclaveIdentity").value),
  },
  { name: "corim", seeds: seeds.corims, parse: (input) => void parseCorim(input) },
  { name: "node-statement", seeds: seeds.nodeStatements, parse: parseStatement },
  { name: "signed-note", seeds: seeds.signedNotes, parse: (input) => void openNote(input, [parseVerifierKey(seeds.verifierKey)]) },
  { name: "verifier-key", seeds: seeds.verifierKeys, parse: (input) => void parseVerifierKey(text(input)) },
  { name: "checkpoint", seeds: seeds.checkpoints, parse: parseCheckpointAgain },
  { name: "workload", seeds: seeds.workloads, parse: parseWorkloadAgain },
  { name: "evidence", seeds: seeds.evidences, parse: decodeEvidenceAgain },
  { name: "evidence-file", seeds: seeds.evidenceFiles, parse: (input) => void inspectEvidence(input) },
  { name: "snp-certificate-table", seeds: answers.certificateTables, parse: (input) => void parseSnpCertificateTable(input) },
  { name: "nsm-answer", seeds: answers.nsmAnswers, parse: (input) => void parseNsmAttestation(input) },
  { name: "qgs-answer", seeds: answers.qgsAnswers, parse: (input) => void parseQgsAnswer(input) },
  { name: "tpm-answer", seeds: answers.tpmAnswers, parse: parseTpmAnswer },
  { name: "attestation-result", seeds: results.resultPayloads, parse: parseResult },
  { name: "collateral-bundle", seeds: results.collateralBundles, parse: parseBundleAgain },
  ...VERIFIER_TARGETS,
];

/** Answers of a TPM: the first byte chooses the command that was sent. */
function parseTpmAnswer(input: Uint8Array): void {
  const [choice = 0] = input;
  const commands = [
    createPrimary(TPM_HANDLES.endorsement, ATTESTATION_KEY_TEMPLATE),
    readPcrs([0, 7, 15]),
    quote(TPM_HANDLES.endorsement, new Uint8Array(64), [0]),
    readPublic(TPM_HANDLES.endorsement),
    readNvSize(TPM_HANDLES.none),
    readNv(TPM_HANDLES.none, 512, 0),
  ];
  commands[choice % commands.length]?.parse(input.subarray(1));
}

function parseResult(input: Uint8Array): void {
  const json = parseJson(input);
  if (typeof json !== "object" || json === null || Array.isArray(json)) return; // jose gives objects only
  const { issuedAt, expiresAt } = readResultPayload(json as Record<string, unknown>, "relying.example"); // an object that is no array has string keys
  assert.ok(!Number.isNaN(issuedAt.getTime()) && !Number.isNaN(expiresAt.getTime()), "a time that is none");
}

/** Its text may have been laid out otherwise; what it says comes out of the one layout again. */
function parseBundleAgain(input: Uint8Array): void {
  const bundle = parseBundle(text(input), "b");
  assert.deepEqual(parseBundle(encodeBundle(bundle), "b"), bundle, "parse and encode are not the identity");
}

/** The quote around it has checked the length; only reports of the three lengths come here. */
function parseTd(input: Uint8Array): void {
  const lengths = [TD_REPORT_10_BYTES, TD_REPORT_15_BYTES, TD_REPORT_15_EX_BYTES];
  const bytes = lengths.find((length) => input.length <= length) ?? TD_REPORT_15_EX_BYTES;
  const exact = new Uint8Array(bytes);
  exact.set(input.subarray(0, bytes));
  findTdWeaknesses(parseTdReport(exact));
}

function parseSnp(input: Uint8Array): void {
  const report = parseSnpReport(input);
  snpSigningKey(report);
  splitSnpPolicy(report.policy);
  splitSnpTcb(report.reportedTcb, snpProduct(report) ?? "Milan");
}

function parseAndReplay(input: Uint8Array): void {
  const log = parseEventLog(input);
  for (const algorithm of log.algorithms) replayPcrs(log, algorithm);
  assertDataMeasured(log);
}

/** Also what vendors put into certificates; each reader may refuse one that is not its vendor's. */
function parseAnyCertificate(input: Uint8Array): void {
  const certificate = parseCertificate(input);
  for (const read of [publicKeyOf, readPckIdentity, readSnpEndorsementKey]) {
    try {
      read(certificate);
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
    }
  }
}

function parseStatement(input: Uint8Array): void {
  const { statement } = parseNodeStatement(input);
  const again = encodeNodeStatement(statement, statementKey);
  assert.deepEqual(fields(again), fields(input), "parse and encode are not the identity");
}

const fields = (statement: Uint8Array): string => statement.subarray(0, -KEY_ID_AND_SIGNATURE_BYTES).toHex();

function parseCheckpointAgain(input: Uint8Array): void {
  const given = text(input);
  const again = formatCheckpoint(parseCheckpoint(given));
  assert.equal(again, given, "parse and format are not the identity");
}

function parseWorkloadAgain(input: Uint8Array): void {
  assert.equal(encodeWorkload(parseWorkload(input)).toHex(), input.toHex(), "parse and encode are not the identity");
}

function decodeEvidenceAgain(input: Uint8Array): void {
  const json = parseJson(input);
  if (json === undefined) return;
  assert.deepEqual(encodeEvidence(decodeEvidence(json)), json, "decode and encode are not the identity");
}

/** Whoever receives Evidence has read the JSON around it. */
function parseJson(input: Uint8Array): unknown {
  try {
    return JSON.parse(text(input)) as unknown;
  } catch {
    return undefined; // not JSON: nothing to decode
  }
}
