/**
 * Process 1 of a mesh: name server, relays and node agent of its containers, which it starts and watches. It begins with one line of JSON on standard
 * input, a `HostOrder`, and ends when that input ends: so nothing of a mesh outlives its engine. Tells every change on standard output.
 */
import { createInterface } from "node:readline";
import { runMeshHost } from "./mesh-host.ts";

process.umask(0o022);
const lines = createInterface({ input: process.stdin });
let stop: (() => Promise<void>) | undefined;
lines.on("line", (line) => {
  if (stop === undefined) {
    stop = async () => {};
    // The engine is the only writer of this pipe.
    runMeshHost(JSON.parse(line)).then(
      (running) => {
        stop = running.stop;
      },
      (error: unknown) => {
        process.stdout.write(`${JSON.stringify({ type: "failed", message: error instanceof Error ? error.message : String(error) })}\n`);
        process.exit(1);
      },
    );
  } else if (line === "stop") {
    stop().finally(() => process.exit(0));
  }
});
lines.on("close", () => process.exit(0));
