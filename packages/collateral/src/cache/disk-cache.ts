import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { encodeBundle, parseBundle } from "../bundle/collateral-bundle.ts";
import { type CollateralDocument, DOCUMENT_MAX_BYTES } from "../collateral-document.ts";
import { CollateralError } from "../collateral-error.ts";
import { requestKey } from "../collateral-request.ts";
import type { DocumentStore } from "./document-store.ts";

const ENTRY_MAX_BYTES = 2 * DOCUMENT_MAX_BYTES;
const FILE = /^[0-9a-f]{64}\.json$/;

/**
 * One file for each request, named after it. Written beside and renamed, so a reader sees a whole document or none; a crash leaves at most a
 * `.new` file that nobody reads. A damaged or foreign file counts as absent: its signatures decide, not its place.
 */
export class DiskCache implements DocumentStore {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes the directory when it is missing. Throws CollateralError COLLATERAL_CACHE. */
  static async open(directory: string): Promise<DiskCache> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      for (const name of await readdir(directory)) if (name.endsWith(".new")) await rm(join(directory, name), { force: true });
    } catch (cause) {
      throw new CollateralError("COLLATERAL_CACHE", `the cache directory ${directory} cannot be used`, {
        cause,
        remedy: "Name a directory that this user may write.",
      });
    }
    return new DiskCache(directory);
  }

  async read(key: string): Promise<CollateralDocument | undefined> {
    const document = await this.#readFile(fileOf(key));
    return document !== undefined && requestKey(document.request) === key ? document : undefined;
  }

  async write(key: string, document: CollateralDocument): Promise<void> {
    const path = join(this.#directory, fileOf(key));
    const fresh = `${path}.${randomUUID()}.new`;
    try {
      const file = await open(fresh, "wx", 0o600);
      try {
        await file.writeFile(encodeBundle({ createdAt: document.fetchedAt, documents: [document] }));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, path);
      const parent = await open(this.#directory, "r");
      await parent.sync().finally(() => parent.close());
    } catch (cause) {
      await rm(fresh, { force: true });
      throw new CollateralError("COLLATERAL_CACHE", `${key} cannot be written to the cache`, { cause });
    }
  }

  /** Everything that can be read, in no order. */
  async list(): Promise<readonly CollateralDocument[]> {
    const names = (await readdir(this.#directory)).filter((name) => FILE.test(name));
    const documents = await Promise.all(names.map((name) => this.#readFile(name)));
    return documents.filter((document) => document !== undefined);
  }

  async #readFile(name: string): Promise<CollateralDocument | undefined> {
    const path = join(this.#directory, name);
    try {
      if ((await stat(path)).size > ENTRY_MAX_BYTES) return undefined;
      const { documents } = parseBundle(await readFile(path, "utf8"), path);
      return documents.length === 1 ? documents[0] : undefined;
    } catch {
      return undefined; // absent, or damaged, which is the same: it is fetched again
    }
  }
}

const fileOf = (key: string): string => `${createHash("sha256").update(key).digest("hex")}.json`;
