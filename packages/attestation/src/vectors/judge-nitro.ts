import { verifyNitroDocument } from "../nitro/verify-nitro-document.ts";
import { parsePemCertificates } from "../x509/certificate.ts";
import { type Answer, judgeBothWays } from "./answer.ts";
import { fileOf, nonceOf, timeOf } from "./case-input.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Family `nitro`: a COSE document and the root. */
export function judgeNitroCase(vectorCase: VectorCase): CaseVerdict {
  return judgeBothWays(vectorCase, (isDebugRefused) => verifyCase(vectorCase, isDebugRefused));
}

function verifyCase(vectorCase: VectorCase, isDebugRefused: boolean): Answer {
  const nonce = nonceOf(vectorCase);
  const document = verifyNitroDocument(fileOf(vectorCase, "document.cose"), {
    anchors: parsePemCertificates(fileOf(vectorCase, "root.pem")),
    now: timeOf(vectorCase),
    ...(nonce === undefined ? {} : { nonce }),
  });
  const fields = {
    moduleId: document.moduleId,
    timestamp: document.timestamp.getTime(),
    digest: "SHA384",
    pcrs: Object.fromEntries([...document.pcrs].map(([index, value]) => [String(index), value.toHex()])),
    publicKey: document.publicKey?.toHex() ?? null,
    userData: document.userData?.toHex() ?? null,
    nonce: document.nonce?.toHex() ?? null,
    debug: document.debug,
    cabundleLength: document.caBundle.length,
  };
  return { outcome: isDebugRefused && document.debug ? "debug-enabled" : "ok", fields };
}
