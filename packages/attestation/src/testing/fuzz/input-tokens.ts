/** Numbers, brackets and words that mean something to one format or another. */
const COMMON = ["{", "}", "[", "]", '"', ":", ",", "null", "true", "-1", "1e309", "4294967296", "\u0000", "\n", "— ", "=", "é", "\ud800"];
const WORDS_MAX = 200;

/** Words that stand in well-formed inputs, and tags of DER and CBOR. */
export function tokensOf(seeds: readonly Uint8Array[]): readonly Uint8Array[] {
  const words = new Set(
    seeds.flatMap(
      (seed) =>
        Buffer.from(seed)
          .toString("latin1")
          .match(/[A-Za-z0-9_.]{3,24}/g) ?? [],
    ),
  );
  const tags = [0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x17, 0x18, 0x30, 0x31, 0x80, 0xa0, 0xa3, 0xbf, 0xd2, 0xf6, 0xf7, 0xff];
  return [
    ...[...COMMON, ...[...words].slice(0, WORDS_MAX)].map((word) => new TextEncoder().encode(word)),
    ...tags.map((tag) => Uint8Array.of(tag)),
  ];
}
