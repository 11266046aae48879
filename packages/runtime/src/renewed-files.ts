import { chmodSync, chownSync, renameSync, statSync, writeFileSync } from "node:fs";
import type { RenewedFile } from "@vouchsafe/protocol";
import { log } from "./report.ts";

/**
 * Puts renewed certificates where the program finds them (SL-134): each file is replaced whole, with the owner and permission it had. The view is
 * reached through the program's own root, which needs CAP_SYS_PTRACE over it: without, the program gets the new files at its next start.
 */
export function replaceRenewedFiles(pid: number | undefined, files: readonly RenewedFile[]): void {
  for (const { path, content } of files) {
    const target = `/proc/${pid}/root${path}`;
    try {
      const { uid, gid, mode } = statSync(target);
      const fresh = `${target}.renewed`;
      writeFileSync(fresh, Uint8Array.fromBase64(content), { mode: 0o600 });
      chownSync(fresh, uid, gid);
      chmodSync(fresh, mode & 0o777);
      renameSync(fresh, target);
      log(`renewed ${path}`);
    } catch (error) {
      log(
        `${path} was renewed, and is taken at the next start (${error instanceof Error && "code" in error ? String(error.code) : "failed"})`,
      );
    }
  }
}
