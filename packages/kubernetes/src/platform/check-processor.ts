/** What the runtime's programs are compiled for, and what makes encryption fast enough to be always on. */
const REQUIRED = ["sse4_2", "popcnt"] as const;
const RECOMMENDED = ["aes", "pclmulqdq", "avx2"] as const;
const TEES: Readonly<Record<string, string>> = { sgx: "SGX", tdx_guest: "TDX guest", sev_snp: "SEV-SNP", sev_guest: "SEV guest" };

/** Judges the text of `/proc/cpuinfo`: whether images can be built and run on this machine (CL-84). */
export function checkProcessor(cpuinfo: string): { readonly isSufficient: boolean; readonly lines: readonly string[] } {
  const flags = new Set(/^flags\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(/\s+/) ?? []);
  const model = /^model name\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? "unknown processor";
  if (flags.size === 0)
    return { isSufficient: false, lines: [`${model}: no x86-64 feature flags found; the platform's images are for x86-64`] };
  const missing = REQUIRED.filter((flag) => !flags.has(flag));
  const slow = RECOMMENDED.filter((flag) => !flags.has(flag));
  const tees = Object.entries(TEES).flatMap(([flag, name]) => (flags.has(flag) ? [name] : []));
  const lines = [
    `${model}: ${missing.length === 0 ? "can run the platform" : `lacks ${missing.join(", ")}, which the platform needs`}`,
    ...(slow.length === 0 ? [] : [`without ${slow.join(", ")}: encryption will be slow`]),
    tees.length === 0 ? "no TEE: evidence of kind node or simulated only" : `TEE: ${tees.join(", ")}`,
  ];
  return { isSufficient: missing.length === 0, lines };
}
