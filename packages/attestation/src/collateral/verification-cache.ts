import { hash } from "../crypto/current-provider.ts";

const ENTRIES_MAX = 4096;

/**
 * Values that follow from bytes alone: parsed collateral, chains and lists whose signatures hold. Keyed by the SHA-256 of all bytes that went
 * in, so a changed byte is another entry. Dates, revocation and verdicts are never kept: they are looked at again for each use.
 */
export class VerificationCache {
  readonly #entries = new Map<string, unknown>();

  get size(): number {
    return this.#entries.size;
  }

  /** The value that `make` gives for these bytes; what it throws is not kept. `kind` must name one type of value. */
  get<T>(kind: string, inputs: readonly Uint8Array[], make: () => T): T {
    const key = [kind, ...inputs.map((input) => hash("sha256", input).toBase64())].join(" ");
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key); // to the end: the least recently used entry comes first
      this.#entries.set(key, known);
      return known as T; // the kind in the key fixes the type
    }
    const value = make();
    if (this.#entries.size >= ENTRIES_MAX) this.#entries.delete(this.#entries.keys().next().value ?? "");
    this.#entries.set(key, value);
    return value;
  }
}

/** The value from the cache, or made anew when there is none. */
export function cached<T>(cache: VerificationCache | undefined, kind: string, inputs: readonly Uint8Array[], make: () => T): T {
  return cache === undefined ? make() : cache.get(kind, inputs, make);
}

/** Serves one verification, during which nothing changes what went in: the arrays themselves are compared, and none is hashed. */
class SingleUseCache extends VerificationCache {
  readonly #known: { readonly kind: string; readonly inputs: readonly Uint8Array[]; readonly value: unknown }[] = [];

  override get size(): number {
    return this.#known.length;
  }

  override get<T>(kind: string, inputs: readonly Uint8Array[], make: () => T): T {
    const known = this.#known.find((entry) => entry.kind === kind && isSameList(entry.inputs, inputs));
    if (known !== undefined) return known.value as T; // the kind fixes the type
    const value = make();
    this.#known.push({ kind, inputs, value });
    return value;
  }
}

const isSameList = (a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean =>
  a.length === b.length && a.every((bytes, index) => bytes === b[index]);

/** The same context with a cache for this one verification, where the caller has none: a root that three chains end in is parsed once. */
export function withCache<T extends { readonly cache?: VerificationCache }>(context: T): T & { readonly cache: VerificationCache } {
  return { ...context, cache: context.cache ?? new SingleUseCache() };
}
