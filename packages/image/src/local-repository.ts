import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { BlobStore } from "./blob-store.ts";
import { type Descriptor, ImageConfig, ImageIndex, ImageManifest, MEDIA_TYPES } from "./descriptor.ts";
import { withFileLock } from "./file-lock.ts";
import { ImageError } from "./image-error.ts";
import { formatImageReference, parseImageReference } from "./reference.ts";

const NAME_ANNOTATION = "org.opencontainers.image.ref.name";
const DOCUMENT_MAX_BYTES = 4 * 1024 * 1024;
const LOCK_WAIT_MS = 20_000;

/** Registry name reserved for images that exist on this machine only (no registry configured). */
export const LOCAL_REGISTRY = "vouchsafe.local";

/** Where this machine keeps its images: `${XDG_STATE_HOME:-~/.local/state}/vouchsafe/images`. */
export function defaultRepositoryDir(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment["XDG_STATE_HOME"] || join(environment["HOME"] || homedir(), ".local", "state"), "vouchsafe", "images");
}

/** Where builds keep what can be made again: `${XDG_CACHE_HOME:-~/.cache}/vouchsafe`. */
export function defaultCacheDir(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment["XDG_CACHE_HOME"] || join(environment["HOME"] || homedir(), ".cache"), "vouchsafe");
}

export interface StoredImage {
  readonly digest: string;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

/** An OCI image layout (image-spec, image-layout.md) that holds any number of images by reference. */
export class LocalRepository {
  readonly directory: string;
  readonly blobs: BlobStore;
  constructor(directory: string) {
    this.directory = directory;
    this.blobs = new BlobStore(directory);
  }
  async #readIndex(): Promise<ImageIndex> {
    let text: string;
    try {
      text = await readFile(join(this.directory, "index.json"), "utf8");
    } catch {
      return { schemaVersion: 2, manifests: [] }; // nothing was stored yet
    }
    return ImageIndex.parse(JSON.parse(text));
  }
  /** References with their digests. */
  async list(): Promise<{ reference: string; digest: string }[]> {
    const { manifests } = await this.#readIndex();
    return manifests.flatMap(({ annotations, digest }) => {
      const reference = annotations?.[NAME_ANNOTATION];
      return reference === undefined ? [] : [{ reference, digest }];
    });
  }
  /** Digest of the manifest that a reference names, or undefined. A reference with a digest needs no entry in the index. */
  async find(reference: string): Promise<string | undefined> {
    const parsed = parseImageReference(reference);
    if (parsed.digest !== undefined) return (await this.blobs.findSize(parsed.digest)) === undefined ? undefined : parsed.digest;
    const name = formatImageReference(parsed);
    return (await this.list()).find((entry) => entry.reference === name)?.digest;
  }
  /** Manifest and config of an image, their digests checked; undefined if the repository does not have it. */
  async read(reference: string): Promise<StoredImage | undefined> {
    const digest = await this.find(reference);
    if (digest === undefined) return undefined;
    const manifest = ImageManifest.parse(await this.readDocument(digest));
    const config = ImageConfig.parse(await this.readDocument(manifest.config.digest));
    return { digest, manifest, config };
  }
  /** Whether the image and all of its layers are here: after pulling metadata only, or in a damaged store, they are not. */
  async isComplete(reference: string): Promise<boolean> {
    const image = await this.read(reference).catch(() => undefined); // damaged counts as absent
    if (image === undefined) return false;
    for (const layer of image.manifest.layers) if ((await this.blobs.findSize(layer.digest)) !== layer.size) return false;
    return true;
  }
  async readDocument(digest: string): Promise<unknown> {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await this.blobs.read(digest, DOCUMENT_MAX_BYTES)));
  }
  /** Stores a document and returns its descriptor. */
  async putDocument(mediaType: string, document: object): Promise<Descriptor> {
    return { mediaType, ...(await this.blobs.put(new TextEncoder().encode(JSON.stringify(document)))) };
  }
  /** Makes `reference` name the manifest; its blobs must be in the store. */
  async name(reference: string, manifest: Descriptor): Promise<void> {
    const name = formatImageReference({ ...parseImageReference(reference), digest: undefined });
    await mkdir(this.directory, { recursive: true });
    // Two builds at once must not lose each other's entry.
    await withFileLock(join(this.directory, ".lock"), LOCK_WAIT_MS, async () => {
      const index = await this.#readIndex();
      const others = index.manifests.filter(({ annotations }) => annotations?.[NAME_ANNOTATION] !== name);
      const entry = {
        mediaType: manifest.mediaType,
        digest: manifest.digest,
        size: manifest.size,
        annotations: { [NAME_ANNOTATION]: name },
      };
      const next = { schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests: [...others, entry] };
      await this.#replace("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
      await this.#replace("index.json", JSON.stringify(next));
    });
  }
  /** Puts an image of this repository into another layout, under the same reference. */
  async exportTo(reference: string, target: LocalRepository): Promise<string> {
    const image = await this.read(reference);
    if (image === undefined) throw new ImageError("E-IMAGE-PULL", `image ${reference} is not in ${this.directory}`);
    const { digest, manifest } = image;
    for (const blob of [manifest.config.digest, ...manifest.layers.map((layer) => layer.digest), digest])
      await this.blobs.share(blob, target.blobs);
    const size = (await this.blobs.findSize(digest)) ?? 0;
    await target.name(reference, { mediaType: manifest.mediaType ?? MEDIA_TYPES.manifest, digest, size });
    return digest;
  }
  async #replace(name: string, text: string): Promise<void> {
    const temporary = join(this.directory, `.${name}.new`);
    await writeFile(temporary, text);
    await rename(temporary, join(this.directory, name));
  }
}

/** Opens (and creates at first use) the repository below a state directory. */
export const openLocalRepository = (directory: string = defaultRepositoryDir()): LocalRepository => new LocalRepository(directory);
