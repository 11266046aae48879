import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  EvidenceError,
  type IntelDocuments,
  type SignedQuote,
  verifyEvidence,
  verifyQeIdentity,
  verifyQuoteSignatures,
  verifyTcbInfo,
} from "@vouchsafe/attestation";
import { openTpmCredential } from "@vouchsafe/attester";
import { certifyTpmEvidence } from "@vouchsafe/protocol";
import { CliError } from "../../cli-error.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { describeRefusal, linesOfRefusal } from "../evidence/describe-refusal.ts";
import { type EvidenceInput, evidenceInputOf } from "../evidence/evidence-input.ts";
import { describeClaims } from "../evidence/verify-evidence.ts";
import { FAIL_ON } from "./fail-on.ts";
import { gatherEvidence } from "./gather-evidence.ts";
import { type IntelFacts, tcbState } from "./tcb-state.ts";
import { tcbStateLines } from "./tcb-state-lines.ts";

/** `las show-tcb-state` (C-93). Exits 3 where the evidence proves nothing, or a `--fail-on-…` strikes. */
export async function showTcbState(options: ParsedOptions, shell: Shell): Promise<number> {
  const json = givenValue(options, "json");
  try {
    const { evidence, context } = await readInput(options, shell);
    const claims = verifyEvidence(evidence, context);
    const state = tcbState(claims, evidence, intelFacts({ evidence, context }));
    const failures = FAIL_ON.filter(({ long, strikes }) => hasFlag(options, long) && strikes(state));
    if (json === undefined) for (const line of tcbStateLines(state)) shell.out(line);
    else {
      const failedOn = failures.map(({ long }) => long);
      shell.out(JSON.stringify({ verified: true, ...state, failedOn, ...(json === "full" ? { claims: describeClaims(claims) } : {}) }));
    }
    for (const { long, when } of failures) shell.note(`refused: ${when} (--${long})`);
    return failures.length === 0 ? ExitCode.ok : ExitCode.refused;
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    if (json === undefined) {
      shell.out(`not verified: ${error.code}, ${error.reason}`);
      for (const line of linesOfRefusal(error)) shell.out(line);
      if (error.remedy !== undefined) shell.note(`help: ${error.remedy}`);
    } else shell.out(JSON.stringify({ verified: false, ...describeRefusal(error) }));
    return ExitCode.refused;
  }
}

/** Of a file, or gathered here. A TPM that is here also shows that its keys are in it, as a CAS would have it do. */
async function readInput(options: ParsedOptions, shell: Shell): Promise<EvidenceInput> {
  const file = givenValue(options, "evidence");
  if (file !== undefined) return evidenceInputOf(await readNamed(file, shell), options, shell);
  const { evidence: json, place } = await gatherEvidence(options, shell);
  const input = await evidenceInputOf(Buffer.from(JSON.stringify(json)), options, shell);
  if (input.evidence.kind !== "tpm" || !("tpm" in place)) return input;
  const endorsementRoots = await Promise.all(
    givenValues(options, "root").map(async (name) => Buffer.from(await readNamed(name, shell)).toString("latin1")),
  );
  const { trustAnchors, now } = input.context;
  const trust = { tpm: { endorsementRoots, endorsementKeys: [] }, anchors: trustAnchors, now };
  const { evidence, anchors } = await certifyTpmEvidence(input.evidence, trust, ({ idObject, encryptedSecret }) =>
    openTpmCredential(place.tpm, { idObject: Uint8Array.fromBase64(idObject), encryptedSecret: Uint8Array.fromBase64(encryptedSecret) }),
  );
  return { evidence, context: { ...input.context, trustAnchors: anchors } };
}

/** For a quote that was verified; undefined for other kinds. */
function intelFacts({ evidence, context }: EvidenceInput): IntelFacts | undefined {
  const { kind, bytes, endorsements } = evidence;
  if (kind !== "sgx" && kind !== "tdx") return undefined;
  const roots = context.trustAnchors[kind] ?? [];
  const signed = verifyQuoteSignatures(bytes, roots, context, endorsements?.get("pck-chain.pem"));
  return { signed, documents: documentsOf(signed, roots, context) };
}

function documentsOf(
  { pck, quote }: SignedQuote,
  roots: readonly Uint8Array[],
  context: EvidenceInput["context"],
): IntelDocuments | undefined {
  const found = context.collateral.intel?.({ tee: quote.tee, fmspc: pck.fmspc.toHex(), authority: pck.authority });
  const { tcbInfo, qeIdentity, tcbSigningChain, qeIdentitySigningChain = tcbSigningChain } = found ?? {};
  if (tcbInfo === undefined || qeIdentity === undefined || tcbSigningChain === undefined || qeIdentitySigningChain === undefined)
    return undefined;
  return {
    tcbInfo: verifyTcbInfo(tcbInfo, tcbSigningChain, roots, context).value,
    qeIdentity: verifyQeIdentity(qeIdentity, qeIdentitySigningChain, roots, context).value,
  };
}

async function readNamed(file: string, shell: Shell): Promise<Uint8Array> {
  if (file === "-") return shell.readInput();
  return Uint8Array.from(
    await readFile(resolve(shell.directory, file)).catch((cause: unknown) => {
      throw new CliError("E-FILE-MISSING", `${file} cannot be read`, { cause, remedy: "Name a file that exists and that you may read." });
    }),
  );
}
