import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type MeshRecord, parseMeshRecord } from "@vouchsafe/mesh";
import { parseSession, sessionHash, verifySignedSession } from "@vouchsafe/policy";
import { CliError } from "../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../command-spec.ts";
import { ExitCode, type Shell } from "../shell.ts";

interface Check {
  readonly what: string;
  readonly problem: string | undefined;
}

/** `verify`: compares everything below `target/` with `mesh.json`: signatures, hashes, and that the chart names the attested images. */
export async function verify(options: ParsedOptions, shell: Shell): Promise<number> {
  const target = resolve(shell.directory, givenValue(options, "target-directory") ?? "target");
  const text = await readFile(join(target, "mesh.json"), "utf8").catch((cause: unknown) => {
    throw new CliError("E-FILE-MISSING", `there is no mesh.json in ${target}`, {
      cause,
      remedy: "Apply a mesh first: sconectl apply -f mesh.yaml.",
    });
  });
  const record = readRecord(text, target);
  const checks = [...(await checkPolicies(record, target)), ...(await checkChart(record, target))];
  const failed = checks.filter(({ problem }) => problem !== undefined);
  if (hasFlag(options, "json"))
    shell.out(
      JSON.stringify({
        target,
        ok: failed.length === 0,
        checks: checks.map(({ what, problem }) => ({ what, ok: problem === undefined, ...(problem === undefined ? {} : { problem }) })),
      }),
    );
  else
    for (const { what, problem } of checks)
      shell.out(`${problem === undefined ? "ok     " : "FAILED "}${what}${problem === undefined ? "" : `: ${problem}`}`);
  return failed.length === 0 ? ExitCode.ok : ExitCode.failed;
}

function readRecord(text: string, target: string): MeshRecord {
  try {
    return parseMeshRecord(text);
  } catch (cause) {
    throw new CliError("E-FILE-TYPE", `${join(target, "mesh.json")} is no record of a mesh`, { cause, remedy: "Apply the mesh again." });
  }
}

async function checkPolicies(record: MeshRecord, target: string): Promise<Check[]> {
  return Promise.all(
    record.policies.map(async ({ name, signed, hash, service, imageOf }): Promise<Check> => {
      const what = `policy ${name}`;
      if (signed === undefined) return { what, problem: undefined };
      try {
        const { policy } = verifySignedSession(await readFile(join(target, signed), "utf8"));
        const { session } = parseSession(policy);
        if (session === undefined) return { what, problem: "the document is not valid" };
        if (session.name !== name) return { what, problem: `the document is the policy ${session.name}` };
        if (sessionHash(session) !== hash) return { what, problem: "its hash is not the recorded one" };
        // The identities of a service stand in its image policy, where it has one (MF-89).
        const attested = record.policies.some((each) => each.imageOf === service) ? imageOf : (imageOf ?? service);
        const identities = Object.values(record.services.find((each) => each.name === attested)?.codeIdentities ?? {});
        const missing = identities.find((identity) => !policy.includes(identity));
        return { what, problem: missing === undefined ? undefined : `it does not attest the code identity ${missing}` };
      } catch (error) {
        return { what, problem: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
}

async function checkChart(record: MeshRecord, target: string): Promise<Check[]> {
  const files = await readdir(join(target, "helm"), { recursive: true }).catch((): string[] => []); // reported for each service below
  const charts = record.services.map(async ({ name, image }): Promise<Check> => {
    const what = `chart of ${name}`;
    const values = await readFile(join(target, "helm", "charts", name, "values.yaml"), "utf8").catch(() => undefined);
    if (values === undefined) return { what, problem: "values.yaml is missing" };
    return { what, problem: values.includes(image.digest) ? undefined : `it does not name the attested image ${image.digest}` };
  });
  const stored = record.services.map(async ({ name, image }): Promise<Check> => {
    const what = `image of ${name}`;
    if (image.layoutDir === undefined) return { what, problem: undefined };
    const manifest = await readFile(join(image.layoutDir, "blobs", "sha256", image.digest.slice("sha256:".length))).catch(() => undefined);
    if (manifest === undefined) return { what, problem: "it is not in the local store" };
    const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
    return { what, problem: digest === image.digest ? undefined : "its manifest was changed" };
  });
  return [
    { what: "chart", problem: files.includes("Chart.yaml") ? undefined : "Chart.yaml is missing" },
    ...(await Promise.all([...charts, ...stored])),
  ];
}
