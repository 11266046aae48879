import { createHash, type KeyObject, sign } from "node:crypto";

interface SignedImage {
  /** `host:port`. */
  readonly registry: string;
  readonly repository: string;
  readonly digest: string;
  /** Value of the header `Authorization`. */
  readonly authorization: string;
}

export const simpleSigningPayload = ({ registry, repository, digest }: SignedImage): string =>
  JSON.stringify({
    critical: {
      identity: { "docker-reference": `${registry}/${repository}` },
      image: { "docker-manifest-digest": digest },
      type: "cosign container image signature",
    },
    optional: null,
  });

/** Puts a signature beside an image, as `cosign sign --key` does it. `payload` and `signature` may be wrong on purpose. */
export async function signImage(
  image: SignedImage,
  key: KeyObject,
  payload: string = simpleSigningPayload(image),
  signature: string = sign(key.asymmetricKeyType === "ed25519" ? null : "sha256", Buffer.from(payload), key).toString("base64"),
): Promise<void> {
  const base = `http://${image.registry}/v2/${image.repository}`;
  const headers = { authorization: image.authorization };
  const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const putBlob = async (text: string) => {
    const start = await fetch(`${base}/blobs/uploads/`, { method: "POST", headers });
    const url = new URL(start.headers.get("location") ?? "", base);
    url.searchParams.set("digest", digestOf(text));
    const done = await fetch(url, { method: "PUT", headers: { ...headers, "content-type": "application/octet-stream" }, body: text });
    if (done.status !== 201) throw new Error(`the registry answers ${done.status} to a blob`);
    return { digest: digestOf(text), size: Buffer.byteLength(text) };
  };
  const config = JSON.stringify({ architecture: "", os: "", config: {}, rootfs: { type: "layers", diff_ids: [digestOf(payload)] } });
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...(await putBlob(config)) },
    layers: [
      {
        mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
        ...(await putBlob(payload)),
        annotations: { "dev.cosignproject.cosign/signature": signature },
      },
    ],
  };
  const answer = await fetch(`${base}/manifests/${image.digest.replace(":", "-")}.sig`, {
    method: "PUT",
    headers: { ...headers, "content-type": manifest.mediaType },
    body: JSON.stringify(manifest),
  });
  if (answer.status !== 201) throw new Error(`the registry answers ${answer.status} to the manifest`);
}
