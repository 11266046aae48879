/** Words users write for the ones the language knows. */
const SYNONYMS = new Map([
  ["mrsinger", "mrsigner"],
  ["isvsn_min", "isvsvn_min"],
  ["isvsn_max", "isvsvn_max"],
  ["isvsn", "isvsvn"],
  ["env", "environment"],
  ["cmd", "command"],
  ["args", "command"],
  ["workdir", "pwd"],
  ["cwd", "pwd"],
  ["working_dir", "pwd"],
  ["type", "kind"],
  ["length", "size"],
  ["key", "private_key"],
  ["exports", "export"],
  ["imports", "import"],
  ["signed_by", "issuer"],
  ["sans", "san"],
  ["cn", "common_name"],
  ["subject", "common_name"],
  ["validity", "valid_for"],
  ["mode", "permission"],
  ["ES256", "P-256"],
]);

const LONGEST_WORD = 64;

/** Number of insertions, deletions, replacements and swaps of neighbours; stops counting beyond 2. */
function editDistance(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > 2) return 3;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const same = from[i - 1] === to[j - 1];
      let cost = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) cost = Math.min(cost, (beforePrevious[j - 2] ?? 0) + 1);
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[to.length] ?? 3;
}

/** The known word the writer probably meant (SL-7). */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const synonym = SYNONYMS.get(word);
  if (synonym !== undefined && known.includes(synonym)) return synonym;
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    // A distance as long as the word itself means nothing.
    if (distance < bestDistance && distance < Math.max(word.length, 2)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const nearest = nearestWord(word, known);
  return nearest === undefined ? undefined : `did you mean \`${nearest}\`?`;
}
