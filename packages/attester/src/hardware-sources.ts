import { configfsTsmSource } from "./configfs-tsm.ts";
import type { EvidenceSource } from "./evidence-source.ts";
import { gramineSource } from "./gramine.ts";
import { nitroModuleSource } from "./nitro-module.ts";
import { sevGuestSource } from "./sev-guest.ts";
import { tdxGuestSource } from "./tdx-guest.ts";
import type { TpmAddress } from "./tpm-connection.ts";
import { tpmSource } from "./tpm-source.ts";

/** Everything of this machine that may give evidence, in the order of what it proves: a confidential guest before the machine that it runs on. */
export function hardwareSources(tpm: TpmAddress | undefined): EvidenceSource[] {
  const guests = [gramineSource(), nitroModuleSource(), configfsTsmSource(), tdxGuestSource(), sevGuestSource()];
  return [...guests, ...(tpm === undefined ? [] : [tpmSource(tpm)])];
}
