import { writeFileSync } from "node:fs";
import { CliError } from "./cli-error.ts";
import type { Shell } from "./shell.ts";

/** A shell whose results are kept, and written to `file` when `write` is called: a failed command leaves the file alone. */
export function resultFile(shell: Shell, file: string): { readonly shell: Shell; readonly write: () => void } {
  const parts: Uint8Array[] = [];
  return {
    shell: {
      ...shell,
      out: (text) => void parts.push(Buffer.from(`${text}\n`)),
      outBytes: (bytes) => void parts.push(bytes),
      isOutTerminal: false,
    },
    write: () => {
      try {
        writeFileSync(file, Buffer.concat(parts));
      } catch (cause) {
        throw new CliError("E-FILE", `${file} cannot be written`, { cause });
      }
    },
  };
}
