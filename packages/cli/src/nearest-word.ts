/** The known word nearest to `word`, at most `maxDistance` edits away; loads nothing, so that wrong use is answered at once. */
export function findNearestWord(word: string, known: readonly string[], maxDistance = 3): string | undefined {
  const scored = known
    .map((candidate) => ({ candidate, distance: distance(word, candidate) }))
    .filter((each) => each.distance <= Math.min(maxDistance, Math.max(1, each.candidate.length / 2)));
  return scored.toSorted((a, b) => a.distance - b.distance)[0]?.candidate;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length] ?? 0;
}
