import type { OptionSpec } from "../../command-spec.ts";
import type { TcbState } from "./tcb-state.ts";

/** A state in which a script wants to hear no: the switch and when it strikes. A status that is not known is never taken for a good one. */
interface FailOn {
  readonly long: string;
  readonly when: string;
  readonly strikes: (state: TcbState) => boolean;
}

export const FAIL_ON: readonly FailOn[] = [
  { long: "fail-on-outdated", when: "the platform is out of date", strikes: ({ status }) => /^(OutOfDate|Unknown)/.test(status) },
  {
    long: "fail-on-configuration-needed",
    when: "its configuration has to be changed",
    strikes: ({ status }) => /Configuration|Unknown/.test(status),
  },
  {
    long: "fail-on-sw-hardening-needed",
    when: "programs need mitigations",
    strikes: ({ status }) => /SWHardening|Unknown/.test(status),
  },
  {
    long: "fail-on-advisories",
    when: "advisories apply",
    strikes: ({ status, advisories }) => advisories.length > 0 || status === "Unknown",
  },
  {
    long: "fail-on-certificate-improvable",
    when: "another certificate would certify more",
    strikes: ({ certificate }) => certificate.improvable === true,
  },
  {
    long: "fail-on-platform-improvable",
    when: "an update or a setting would improve the platform",
    strikes: ({ platform }) => platform.improvable === true,
  },
];

export const FAIL_ON_OPTIONS: readonly OptionSpec[] = FAIL_ON.map(({ long, when }) => ({ long, summary: `exit 3 when ${when}` }));
