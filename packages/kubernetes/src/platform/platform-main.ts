/**
 * Program of the small platform image `check_cpufeatures`: checks the processor (CL-84), or with `wait-for HOST PORT` waits until a TCP
 * connection succeeds (MF-121). Needs no rights, no device, and no network for the check.
 */
import { readFileSync } from "node:fs";
import { checkProcessor } from "./check-processor.ts";
import { waitForPort } from "./wait-for-port.ts";

const [, , command, host, port] = process.argv;
if (command === "wait-for" && host !== undefined && /^[0-9]{1,5}$/.test(port ?? "")) {
  await waitForPort(host, Number(port), (line) => console.error(line));
} else if (command === undefined) {
  const { isSufficient, lines } = checkProcessor(readFileSync("/proc/cpuinfo", "utf8"));
  for (const line of lines) console.log(line);
  process.exitCode = isSufficient ? 0 : 1;
} else {
  console.error("usage: (nothing) | wait-for HOST PORT");
  process.exitCode = 2;
}
