/** Program of the operator's image: the operator, and what it judges the evidence of a CAS with. */
import { endProgram, runOperator } from "@vouchsafe/kubernetes";
import { CasResourceJudge } from "./cas-resource-judge.ts";

runOperator((cluster) => {
  const judge = new CasResourceJudge(cluster, () => new Date());
  return (cas, attested, openCredential) => judge.judge(cas, attested, openCredential);
}).catch(endProgram);
