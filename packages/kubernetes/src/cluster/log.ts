/** Writes one JSON line: time, a stable event name, ids. Never secrets, never whole documents. */
export type Log = (event: string, fields?: Readonly<Record<string, string | number | boolean | undefined>>) => void;

export function logTo(output: { write(text: string): unknown }, now: () => Date): Log {
  return (event, fields = {}) => void output.write(`${JSON.stringify({ time: now().toISOString(), event, ...fields })}\n`);
}
