import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MeshRecord } from "@vouchsafe/mesh";
import { type CasClient, CasProblemError, ProtocolError, type PublicValue } from "@vouchsafe/protocol";
import { LocalError } from "./local-error.ts";

/**
 * Does the operator's part: uploads the documents of `target/` in their order (MF-103). What the CAS has already is left alone (CL-71). Returns how
 * many were new. Throws L-CAS with the CAS's own words.
 */
export async function uploadPolicies(record: MeshRecord, targetDir: string, client: CasClient): Promise<number> {
  let uploaded = 0;
  for (const { name, hash, encrypted, signed } of record.policies) {
    if (await hasPolicy(client, name, hash)) continue;
    const file = encrypted ?? signed;
    if (file === undefined)
      throw new LocalError("L-APPLICATION", `there is no document of policy ${name} to upload`, { remedy: "Apply the mesh again." });
    const text = readDocument(join(targetDir, file));
    try {
      const { hash: found } = await (encrypted === undefined ? client.uploadSignedSession(text) : client.uploadEncryptedSession(text));
      if (found !== hash) throw new LocalError("L-CAS", `the CAS stored policy ${name} as ${found}, ${hash} was expected`);
    } catch (error) {
      if (error instanceof CasProblemError || error instanceof ProtocolError) {
        throw new LocalError("L-CAS", `the CAS refuses the policy ${name}: ${error.message}`, {
          cause: error,
          remedy: "Apply the mesh again, so that it refers to what the CAS has now; or take another namespace (delete release.sh).",
        });
      }
      throw error;
    }
    uploaded++;
  }
  return uploaded;
}

async function hasPolicy(client: CasClient, name: string, hash: string): Promise<boolean> {
  try {
    return (await client.readSessionHash(name)).hash === hash;
  } catch (error) {
    if (error instanceof CasProblemError) return false; // unknown, or not for us to know: the upload will tell
    throw error;
  }
}

function readDocument(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new LocalError("L-APPLICATION", `${file} cannot be read`, { cause, remedy: "Apply the mesh again." });
  }
}

/** Writes the public secrets of all services to `public/<service>/<secret>.pem` (the CAS gives them to anybody). Returns the files. */
export async function writePublicValues(record: MeshRecord, targetDir: string, client: CasClient): Promise<string[]> {
  const files: string[] = [];
  for (const service of record.services) {
    if (service.publicSecrets.length === 0) continue;
    const values = await client.publicValues(service.policy);
    const directory = join(targetDir, "public", service.name);
    mkdirSync(directory, { recursive: true });
    for (const secret of service.publicSecrets) {
      const value = values.get(secret);
      if (value === undefined) throw new LocalError("L-CAS", `the CAS has no public value ${secret} of ${service.policy}`);
      const file = join(directory, `${secret}.pem`);
      writeFileSync(file, asText(value), { mode: 0o644 });
      files.push(file);
    }
  }
  return files;
}

const asText = ({ value }: PublicValue): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.endsWith("\n") ? text : `${text}\n`;
};
