import { execFile } from "node:child_process";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";
import type { GatherOrder } from "./carry-out-order.ts";
import type { GatheredEvidence, NoEvidence } from "./choose-and-gather.ts";
import { type EvidencePlace, evidencePlace } from "./evidence-sources.ts";
import { GATHER_COMMAND } from "./las-spec.ts";

const TIMEOUT_SECONDS = 10;
const TIMEOUT_SECONDS_MAX = 3600;
const ANSWER_MAX_BYTES = 1 << 20;

export type Gathered = GatheredEvidence & { readonly place: EvidencePlace };

/** Evidence of the node agent or of this machine's devices, within `--timeout`. Throws E-EVIDENCE with everything that was looked for. */
export async function gatherEvidence(options: ParsedOptions, shell: Shell): Promise<Gathered> {
  const wantsDcap = hasFlag(options, "dcap");
  const seconds = timeoutSeconds(options);
  const place = evidencePlace(shell.environment, wantsDcap);
  const workloadFile = shell.environment["VOUCHSAFE_WORKLOAD_FILE"];
  const order: GatherOrder = { place, wantsDcap, ...(workloadFile === undefined || workloadFile === "" ? {} : { workloadFile }) };
  const answer = await runGatherer(JSON.stringify(order), seconds, shell);
  if ("evidence" in answer) return { ...answer, place };
  const what = wantsDcap ? "DCAP evidence" : "evidence";
  throw new CliError(
    "E-EVIDENCE",
    `${answer.isPresent ? "there is a source, but it gives no" : "nothing here gives"} ${what}: ${answer.found.join("; ")}`,
    {
      remedy: answer.remedy ?? "Give this machine or container one of these devices, or set SCONE_LAS_ADDR to the node agent.",
    },
  );
}

/** In a process of its own, which is killed when the time is over: this same program, which is one file in an image. */
function runGatherer(order: string, seconds: number, { signal, environment }: Shell): Promise<GatheredEvidence | NoEvidence> {
  const { promise, resolve, reject } = Promise.withResolvers<GatheredEvidence | NoEvidence>();
  const limits = { timeout: seconds * 1000, killSignal: "SIGKILL", maxBuffer: ANSWER_MAX_BYTES, signal } as const;
  execFile(
    process.execPath,
    [...process.execArgv, process.argv[1] ?? "", GATHER_COMMAND, order],
    { ...limits, env: { ...environment } },
    (error, out, err) => {
      if (error === null) return resolve(JSON.parse(out));
      if (error.killed !== true) return reject(new CliError("E-EVIDENCE", `gathering evidence failed: ${err.trim()}`, { cause: error }));
      reject(
        new CliError("E-EVIDENCE", `no evidence came within ${seconds} s`, {
          remedy: "Ask again with a longer --timeout: making a key takes a slow TPM half a minute.",
        }),
      );
    },
  );
  return promise;
}

function timeoutSeconds(options: ParsedOptions): number {
  const text = givenValue(options, "timeout");
  const seconds = text === undefined ? TIMEOUT_SECONDS : /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds > 0 && seconds <= TIMEOUT_SECONDS_MAX) return seconds;
  throw new CliError("E-USAGE", `--timeout ${JSON.stringify(text)} is no number of seconds`, {
    isUsage: true,
    remedy: `Write more than 0 and at most ${TIMEOUT_SECONDS_MAX}, for example --timeout 30.`,
  });
}
