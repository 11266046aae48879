/** Paired measurements: A and B run in alternation, so that what else happens on the machine meets both alike. */

export interface Pair {
  readonly a: number;
  readonly b: number;
}

/** Runs both sides `rounds` times, in changing order, and gives the figures of each round. */
export async function measurePairs(rounds: number, a: () => Promise<number>, b: () => Promise<number>): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round += 1) {
    if (round % 2 === 0) {
      const first = await a();
      pairs.push({ a: first, b: await b() });
    } else {
      const first = await b();
      pairs.push({ a: await a(), b: first });
    }
  }
  return pairs;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((x, y) => x - y);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** "a 241 b 250 ratio 0.964 (0.951–0.981)": medians, and the ratio's median with its quartiles. */
export function report(label: string, unit: string, pairs: readonly Pair[]): string {
  const ratios = pairs.map(({ a, b }) => a / b).toSorted((x, y) => x - y);
  const quartile = (part: number) => ratios[Math.round((ratios.length - 1) * part)] ?? Number.NaN;
  const figure = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  const [a, b] = [median(pairs.map((pair) => pair.a)), median(pairs.map((pair) => pair.b))];
  return `${label}: ours ${figure(a)} ${unit}, peer ${figure(b)} ${unit}, ratio ${median(ratios).toFixed(3)} (quartiles ${quartile(0.25).toFixed(3)} to ${quartile(0.75).toFixed(3)}, ${pairs.length} pairs)`;
}
