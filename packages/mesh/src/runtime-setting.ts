import type { Findings } from "./diagnostic.ts";
import { type PlacedText, shortText } from "./manifest-reader.ts";

/** Reserved names of an environment (MF-37, MF-38): settings of the runtime and of the chart, never variables of the program. */
const SIZES = ["SCONE_HEAP", "SCONE_MIN_HEAP", "SCONE_STACK"];
const NUMBERS = ["SCONE_QUEUES", "SCONE_SLOTS", "SCONE_TCS", "SCONE_SSPINS", "SCONE_SSLEEP", "SCONE_ESPINS", "SCONE_SIGPIPE"];
const SHORTS = ["SCONE_ISVPRODID", "SCONE_ISVSVN"];
const LEVELS = ["fatal", "error", "warning", "info", "debug", "trace"];
const CHART_CONTROLS = [
  "INIT_CONTAINER1_ENABLE",
  "INIT_CONTAINER2_ENABLE",
  "INIT_CONTAINER1",
  "INIT_CONTAINER2",
  "INIT_CONTAINER1_PORT",
  "INIT_CONTAINER2_PORT",
  "PYTHON_SERVICE_PORT",
  "restartPolicy",
] as const;
const PORTS = ["INIT_CONTAINER1_PORT", "INIT_CONTAINER2_PORT", "PYTHON_SERVICE_PORT"];

export const isRuntimeSetting = (name: string): boolean => name.startsWith("SCONE_");
export const isChartControl = (name: string): boolean => CHART_CONTROLS.some((control) => control === name);
/** Whether the program receives the variable (MF-34). */
export const reachesProgram = (name: string): boolean => !isRuntimeSetting(name) && !isChartControl(name);

/** Bytes of a size such as `760M`; undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})([KMG]?)$/i.exec(text);
  if (match === null) return undefined;
  const unit = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[(match[2] ?? "").toUpperCase()] ?? 1;
  return Number(match[1]) * unit;
}

/** Checks the value of a reserved name; a value with a placeholder is judged after rendering. */
export function checkRuntimeSetting(name: string, value: PlacedText, mode: "production" | "debug", findings: Findings): void {
  if (value.text.includes("{{") || (!isRuntimeSetting(name) && !isChartControl(name))) return;
  const refuse = (expected: string) => findings.add(value.at, "E-RUNTIME-VALUE", `${name} is ${shortText(value.text)}`, { expected });
  if (SIZES.includes(name)) {
    if (parseSize(value.text) === undefined) refuse("a number with optional K, M or G");
  } else if (name === "SCONE_ALLOW_DLOPEN") {
    if (!/^[012]$/.test(value.text)) refuse("0, 1 or 2");
    else if (value.text === "2" && mode === "production")
      findings.add(value.at, "E-DLOPEN", "SCONE_ALLOW_DLOPEN is 2", { expected: "0 or 1; 2 only with --mode debug" });
  } else if (["SCONE_MPROTECT", "SCONE_FORK", "SCONE_VERSION"].includes(name)) {
    if (!/^[01]$/.test(value.text)) refuse("0 or 1");
  } else if (NUMBERS.includes(name)) {
    if (!/^\d{1,9}$/.test(value.text)) refuse("an integer");
  } else if (SHORTS.includes(name)) {
    if (!/^\d{1,5}$/.test(value.text) || Number(value.text) > 65_535) refuse("an integer from 0 to 65535");
  } else if (name === "SCONE_LOG") {
    if (!LEVELS.includes(value.text.toLowerCase()) && !/^[0-7]$/.test(value.text)) refuse(`one of ${LEVELS.join(", ")}, or 0 to 7`);
  } else if (PORTS.includes(name)) checkPort(name, value, findings);
  else if (name === "restartPolicy" || name.startsWith("INIT_CONTAINER") || name === "SCONE_EDMM_MODE") return;
  else findings.add(value.at, "W-RUNTIME-UNKNOWN", `the runtime setting ${name} is unknown; it is recorded without effect`);
}

export function checkPort(name: string, value: PlacedText, findings: Findings): void {
  if (/^\d{1,5}$/.test(value.text) && Number(value.text) >= 1 && Number(value.text) <= 65_535) return;
  findings.add(value.at, "E-PORT", `${name} is ${shortText(value.text)}`, { expected: "a port, 1–65535" });
}
