import { decodeFirst } from "cborg";

export interface DecodedCbor {
  readonly value: unknown;
  /** Bytes behind the first data item. */
  readonly rest: Uint8Array;
}

export interface CborLimits {
  readonly maxBytes: number;
  /** Tags that may occur; no other does. */
  readonly tags?: readonly number[];
  /** Whether lists and maps may be of indefinite length. */
  readonly allowIndefinite?: boolean;
}

export class TaggedCbor {
  readonly tag: number;
  readonly value: unknown;
  constructor(tag: number, value: unknown) {
    this.tag = tag;
    this.value = value;
  }
}

const OPTIONS = {
  strict: true,
  useMaps: true,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: true,
  rejectDuplicateMapKeys: true,
};

/** Decodes one CBOR item: shortest lengths, no duplicate keys, nothing that is not in the limits. Byte strings are copies. */
export function decodeStrictCbor(
  bytes: Uint8Array,
  { maxBytes, tags = [], allowIndefinite = false }: CborLimits,
  malformed: (detail: string) => Error,
): DecodedCbor {
  if (bytes.length > maxBytes) throw malformed(`${bytes.length} bytes, at most ${maxBytes} allowed`);
  const decoders = Object.fromEntries(tags.map((tag) => [tag, (inner: () => unknown) => new TaggedCbor(tag, inner())]));
  try {
    const [value, rest] = decodeFirst(Uint8Array.from(bytes), { ...OPTIONS, allowIndefinite, tags: decoders });
    return { value, rest };
  } catch (error) {
    if (error instanceof RangeError) throw malformed("nested too deeply"); // the decoder recurses: an overflowing stack is its limit
    if (error instanceof Error && error.message.startsWith("CBOR decode error")) throw malformed(error.message.slice(0, 200));
    throw error;
  }
}
