import { randomBytes } from "node:crypto";
import { request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

/** One answer that was wrong, late or missing. */
export interface Failure {
  readonly at: Date;
  readonly what: string;
}

export interface LoadReport {
  readonly sent: number;
  readonly failures: readonly Failure[];
}

const TIMEOUT_MS = 5_000;
const PAUSE_MS = 100;
/** The load goes on until there was some, however short the disturbance is. */
const LEAST_REQUESTS = 20;
const RECORD =
  "lname=Doe&address=1 Main Street&city=Richmond&state=Washington&ssn=1&email=a@b.c&dob=01/01/2010&contactphone=1&drugallergies=none&preexistingconditions=none&dateadmitted=01/05/2010&insurancedetails=none";

/** Writes patient records through the running service and reads them back, each on a connection of its own, while `work` disturbs it. */
export async function underLoad(url: string, work: () => Promise<void>): Promise<LoadReport> {
  const failures: Failure[] = [];
  let sent = 0;
  let isDone = false;
  const fail = (what: string) => failures.push({ at: new Date(), what });
  const client = async (): Promise<void> => {
    while (!isDone) {
      const id = randomBytes(8).toString("hex");
      sent += 2;
      try {
        const written = await call("POST", `${url}/patient/${id}`, `fname=${id}&${RECORD}`);
        if (written.status !== 200) fail(`writing: status ${written.status}`);
        const read = await call("GET", `${url}/patient/${id}`);
        if (read.status !== 200 || !read.text.includes(id)) fail(`reading: status ${read.status}`);
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error));
      }
      await sleep(PAUSE_MS);
    }
  };
  const clients = [client(), client()];
  try {
    await work();
    while (sent < LEAST_REQUESTS) await sleep(PAUSE_MS);
  } finally {
    isDone = true;
    await Promise.all(clients);
  }
  return { sent, failures };
}

/** The certificate is not looked at: who the service is, other tests ask. */
function call(method: string, url: string, body?: string): Promise<{ readonly status: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers =
    body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(body) };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const outgoing = request(url, { method, headers, agent: false, rejectUnauthorized: false, signal }, (answer) => {
    const chunks: Buffer[] = [];
    answer.on("data", (chunk: Buffer) => chunks.push(chunk));
    answer.on("error", reject);
    answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
  });
  outgoing.on("error", reject);
  outgoing.end(body);
  return promise;
}
