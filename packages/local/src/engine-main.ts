/** The engine's process: `node engine-main.ts ORDER-FILE`. Started by `up`, stopped by SIGTERM. */
import { readFileSync } from "node:fs";
import { Engine } from "./engine.ts";

const [, , orderFile = ""] = process.argv;
process.umask(0o022); // unpacked images keep their modes; what is private gets its mode where it is made
// `up` wrote the file a moment ago, with mode 0600.
const engine = new Engine(JSON.parse(readFileSync(orderFile, "utf8")));
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => engine.stop());
process.on("SIGHUP", () => {}); // the terminal that started the application may close
process.exit(await engine.run());
