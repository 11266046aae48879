import { ApiError, CasError } from "./cas-error.ts";
import { attestForProbe, readProbeOptions } from "./process/attest-probe.ts";
import { type CasProcessStatus, startTicksOf } from "./process/cas-process.ts";
import { HELP, readOptions } from "./process/read-options.ts";
import { writeDurably } from "./sealing/durable-file.ts";
import { type RunningCas, startCas } from "./start-cas.ts";

async function main(): Promise<void> {
  const [word, ...more] = process.argv.slice(2);
  if (word === "probe") return probe(more);
  const options = readOptions(process.argv.slice(2));
  if (options === "help") {
    process.stdout.write(HELP);
    return;
  }
  const cas = await startCas(options);
  if (options.statusFile !== undefined) writeDurably(options.statusFile, `${JSON.stringify(statusOf(cas))}\n`);
  const stop = (): void => {
    process.off("SIGTERM", stop).off("SIGINT", stop);
    cas[Symbol.asyncDispose]().then(
      () => process.exit(), // 0, unless something set another code before it asked for the end
      (error: unknown) => fail(error),
    );
  };
  process.on("SIGUSR1", () => cas.takeSnapshot().catch(fail));
  if (options.stopAfterMs !== undefined) setTimeout(stop, options.stopAfterMs);
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

/** Exit status 0 for a CAS that is accepted; else 1, with the reasons, which the cluster shows. */
async function probe(argv: readonly string[]): Promise<void> {
  const refusal = await attestForProbe(await readProbeOptions(argv));
  if (refusal !== undefined) process.stdout.write(`the CAS is refused: ${refusal}\n`);
  process.exit(refusal === undefined ? 0 : 1);
}

function statusOf({ clientAddress, serviceAddress, casKeyHash, sessionEncryptionKey }: RunningCas): CasProcessStatus {
  const startTicks = startTicksOf(process.pid) ?? "";
  return { pid: process.pid, startTicks, client: clientAddress, service: serviceAddress, casKeyHash, sessionEncryptionKey };
}

function fail(error: unknown): void {
  if (error instanceof CasError || error instanceof ApiError) {
    const remedy = error instanceof CasError ? error.remedy : undefined;
    process.stderr.write(`error: ${error.message}\n${remedy === undefined ? "" : `help: ${remedy}\n`}`);
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  }
  process.exit(1);
}

main().catch(fail);
