import { z } from "zod";
import { KubernetesError } from "../kubernetes-error.ts";

const Settings = z.object({
  VOUCHSAFE_POD_NAME: z.string().min(1),
  VOUCHSAFE_NAMESPACE: z.string().min(1),
  VOUCHSAFE_CAS_IMAGE: z.string().min(1),
  VOUCHSAFE_LAS_IMAGE: z.string().min(1),
});

export interface OperatorProgramSettings {
  /** The operator's own pod. */
  readonly pod: string;
  readonly namespace: string;
  /** Images of CAS and node agents whose resources name none. */
  readonly casImage: string;
  readonly lasImage: string;
}

/** What the Deployment told the operator. Throws E-OPTION-VALUE and names every variable that is missing. */
export function readOperatorSettings(environment: Readonly<Record<string, string | undefined>>): OperatorProgramSettings {
  const parsed = Settings.safeParse(environment);
  if (!parsed.success) {
    const names = parsed.error.issues.map(({ path }) => path.join(".")).join(", ");
    throw new KubernetesError("E-OPTION-VALUE", `the operator needs ${names}`, { remedy: "Let its Deployment start it: sconectl init." });
  }
  const values = parsed.data;
  return {
    pod: values.VOUCHSAFE_POD_NAME,
    namespace: values.VOUCHSAFE_NAMESPACE,
    casImage: values.VOUCHSAFE_CAS_IMAGE,
    lasImage: values.VOUCHSAFE_LAS_IMAGE,
  };
}
