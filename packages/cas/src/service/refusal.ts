import type { AttestationStep, Refusal, RefusalCode } from "@vouchsafe/protocol";

/** The CAS says no to a service: the first failed step, and every reason where several variants were tried (C-37). */
export class Refused extends Error {
  readonly code: RefusalCode;
  readonly step: AttestationStep | undefined;
  readonly causes: readonly string[];

  constructor(code: RefusalCode, step: AttestationStep | undefined, message: string, causes: readonly string[] = []) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.step = step;
    this.causes = causes;
  }
}

export function refusalFrame({ code, step, message, causes }: Refused): Refusal {
  return { type: "refusal", code, ...(step === undefined ? {} : { step }), message, causes: [...causes] };
}
