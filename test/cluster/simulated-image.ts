import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestCluster } from "./cluster.ts";

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
/** Where the CAS keeps the keys and the root of its simulated platform: in the volume of its database. */
const PLATFORM = "/etc/cas/db/simulated";
export const SIMULATED_ROOT = `${PLATFORM}/root.pem`;
/** The one file beside its configuration that a resource can bring (`spec.collateral.caCertificate`): here the certificate of its owner. */
const OWNER = "/etc/vouchsafe/collateral-ca.pem";

/**
 * The CAS's image once more, under another tag, as it starts with simulated evidence about itself: nothing in a resource can ask for that. Since such a CAS
 * is none for production, it provisions itself, for the owner whose certificate its resource has as `collateral.caCertificate`.
 */
export async function publishSimulatedCas({ environment }: TestCluster): Promise<string> {
  const [registry = "", ...path] = (environment["SCONECTL_REPO"] ?? "").split("/");
  const login = JSON.parse(await readFile(join(environment["DOCKER_CONFIG"] ?? "", "config.json"), "utf8"));
  const headers = { authorization: `Basic ${login.auths[registry].auth}` };
  const base = `http://${registry}/v2/${[...path, "cas"].join("/")}`;
  const get = async (place: string) => {
    const answer = await fetch(`${base}/${place}`, { headers: { ...headers, accept: MANIFEST_TYPE } });
    if (!answer.ok) throw new Error(`the registry answers ${answer.status} to ${place}`);
    return answer.text();
  };
  const manifest = JSON.parse(await get(`manifests/${environment["VERSION"]}`));
  const config = JSON.parse(await get(`blobs/${manifest.config.digest}`));
  const simulated = ["--only_for_testing-simulated-platform", PLATFORM, "--only_for_testing-simulated-evidence", "tdx"];
  const owned = ["--self-provision", "--skip-if-already-provisioned", "--owner-identity", OWNER];
  const text = JSON.stringify({
    ...config,
    config: { ...config.config, Entrypoint: [...config.config.Entrypoint, ...simulated, ...owned] },
  });
  const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const start = await fetch(`${base}/blobs/uploads/`, { method: "POST", headers });
  const place = new URL(start.headers.get("location") ?? "", base);
  place.searchParams.set("digest", digest);
  const blob = await fetch(place, { method: "PUT", headers: { ...headers, "content-type": "application/octet-stream" }, body: text });
  if (blob.status !== 201) throw new Error(`the registry answers ${blob.status} to the configuration`);
  const changed = { ...manifest, config: { ...manifest.config, digest, size: Buffer.byteLength(text) } };
  const put = await fetch(`${base}/manifests/simulated`, {
    method: "PUT",
    headers: { ...headers, "content-type": MANIFEST_TYPE },
    body: JSON.stringify(changed),
  });
  if (put.status !== 201) throw new Error(`the registry answers ${put.status} to the manifest`);
  return `${environment["SCONECTL_REPO"]}/cas:simulated`;
}
