import { readFile } from "node:fs/promises";
import { type Creator, type ProposalAction, parseSession, proposalMessage, sessionHash, signProposalStatement } from "@vouchsafe/policy";
import { CasProblemError, type ProposalDetail, type ProposalSummary } from "@vouchsafe/protocol";
import { type CasSession, withCasSession } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** `session proposal list SESSION`: what waits for approval, and what became of the rest. */
export async function proposalList(options: ParsedOptions, shell: Shell): Promise<number> {
  const [session = ""] = options.operands;
  return withCasSession(options, shell, `the proposals of session ${session} were not listed`, async (cas) => {
    const proposals = await asEither(cas, { action: "list", session, hash: "" }, (signed) => cas.client.proposals(session, signed));
    if (hasFlag(options, "json")) shell.out(JSON.stringify(proposals));
    else for (const proposal of proposals) shell.out(line(proposal));
    return ExitCode.ok;
  });
}

const line = ({ hash, state, createdAt, expiresAt, approvals, rejections }: ProposalSummary): string =>
  `${hash} ${state}, made ${createdAt}${state === "pending" ? `, expires ${expiresAt}` : ""}; ${approvals} approved, ${rejections} rejected`;

/** `session proposal show SESSION HASH`: the document; what it changes, and what is missing, go to standard error. */
export async function proposalShow(options: ParsedOptions, shell: Shell): Promise<number> {
  const [session = "", hash = ""] = options.operands;
  return withCasSession(options, shell, `proposal ${hash} of session ${session} was not read`, async (cas) => {
    const proposal = await readVerified(cas, session, hash);
    if (hasFlag(options, "json")) {
      shell.out(JSON.stringify(proposal));
      return ExitCode.ok;
    }
    shell.note(`${line(proposal)}\n${proposal.difference.trimEnd()}`);
    if (proposal.missing !== "") shell.note(proposal.missing);
    shell.out(proposal.text.trimEnd());
    return ExitCode.ok;
  });
}

/** `session proposal diff SESSION HASH`: what the proposal allows and takes away, against the version in force. */
export async function proposalDiff(options: ParsedOptions, shell: Shell): Promise<number> {
  const [session = "", hash = ""] = options.operands;
  return withCasSession(options, shell, `proposal ${hash} of session ${session} was not compared`, async (cas) => {
    const { difference } = await readVerified(cas, session, hash);
    shell.out(hasFlag(options, "json") ? JSON.stringify({ session, hash, difference }) : difference.trimEnd());
    return ExitCode.ok;
  });
}

/** `session proposal approve|reject|withdraw SESSION HASH`: signs with the own signing key, or lets the connection's key count. */
export function proposalDecision(action: Extract<ProposalAction, "approve" | "reject" | "withdraw">) {
  return async (options: ParsedOptions, shell: Shell): Promise<number> => {
    const [session = "", hash = ""] = options.operands;
    const done = { approve: "approved", reject: "rejected", withdraw: "withdrawn" }[action];
    return withCasSession(options, shell, `proposal ${hash} of session ${session} was not ${done}`, async (cas) => {
      const policy = action === "approve" ? (await readVerified(cas, session, hash)).text : "";
      const statement = { action, session, hash, policy };
      const message = givenValue(options, "message-to-be-signed");
      if (message !== undefined) {
        const { writeFile } = await import("node:fs/promises");
        await writeFile(message, proposalMessage(statement));
        shell.note(`${message}: sign it with your key, then give --signer and --signature`);
        return ExitCode.ok;
      }
      const signed = hasFlag(options, "by-connection") ? {} : await signatureOf(options, cas, statement);
      const outcome = await cas.retry(() => cas.client.decideProposal(session, hash, { action, ...signed }));
      if (hasFlag(options, "json")) shell.out(JSON.stringify(outcome));
      else shell.out(outcome.state === "pending" ? `pending\n${outcome.missing}`.trimEnd() : outcome.state);
      return ExitCode.ok;
    });
  };
}

/** A signature made elsewhere, or one of the own signing key. */
async function signatureOf(options: ParsedOptions, { config }: CasSession, statement: Parameters<typeof signProposalStatement>[0]) {
  const [signer, signature] = [givenValue(options, "signer"), givenValue(options, "signature")];
  if ((signer === undefined) !== (signature === undefined))
    throw usage("E-ARGUMENT", "--signer and --signature come together", "Give both files, or none.");
  if (signer === undefined || signature === undefined) return signProposalStatement(statement, config.signingKey);
  const read = (file: string) =>
    readFile(file).catch((cause: unknown) => {
      throw new CliError("E-FILE", `${file} cannot be read`, { cause });
    });
  return { signer: (await read(signer)).toString(), signature: (await read(signature)).toString("base64") };
}

/** The proposal, after the hash was calculated from its text here: nobody signs another document than the one he named. */
async function readVerified(cas: CasSession, session: string, hash: string): Promise<ProposalDetail> {
  const proposal = await asEither(cas, { action: "read", session, hash }, (signed) => cas.client.readProposal(session, hash, signed));
  const { session: document } = parseSession(proposal.text, { file: session });
  const { keyHash, publicKey } = proposal.creator;
  const creator: Creator =
    publicKey === undefined ? { kind: "certificate", keyHash, pem: undefined } : { kind: "signer", keyHash, publicKey };
  if (document?.name === session && sessionHash(document, { creator }) === hash) return proposal;
  throw new CliError("E-CAS-SESSION", `the CAS shows another document than the proposal ${hash}`, {
    remedy: "Do not approve it; ask its author.",
  });
}

/** By the key of the connection, and where that has no part in the session, by the signing key. */
async function asEither<T>(
  { config, retry }: CasSession,
  statement: { readonly action: "read" | "list"; readonly session: string; readonly hash: string },
  call: (signed?: { readonly signer: string; readonly signature: string }) => Promise<T>,
): Promise<T> {
  try {
    return await retry(() => call());
  } catch (error) {
    if (!(error instanceof CasProblemError) || error.problem.code !== "not_found") throw error;
    const signed = signProposalStatement({ ...statement, policy: "" }, config.signingKey);
    return retry(() => call(signed));
  }
}
