import { type NitroDocument, parseNitroDocument } from "../nitro/nitro-document.ts";
import { isDebugDocument, verifyNitroDocument } from "../nitro/verify-nitro-document.ts";
import { parsePemCertificates } from "../x509/certificate.ts";
import { type Answer, type Fields, fieldsOf, judgeBothWays } from "./answer.ts";
import { fileOf, nonceOf, timeOf } from "./case-input.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** First byte of a document in COSE's tag 18. */
const TAG_18 = 0xd2;

/** Family `nitro`: a COSE document and the root. */
export function judgeNitroCase(vectorCase: VectorCase): CaseVerdict {
  const bytes = fileOf(vectorCase, "document.cose");
  const fields = fieldsOf(() => documentFields(parseNitroDocument(bytes)));
  return judgeBothWays(vectorCase, fields, (isDebugRefused) => verifyCase(vectorCase, bytes, isDebugRefused));
}

function verifyCase(vectorCase: VectorCase, bytes: Uint8Array, isDebugRefused: boolean): Answer {
  const nonce = nonceOf(vectorCase);
  const { debug } = verifyNitroDocument(bytes, {
    anchors: parsePemCertificates(fileOf(vectorCase, "root.pem")),
    now: timeOf(vectorCase),
    ...(nonce === undefined ? {} : { nonce }),
  });
  return { outcome: isDebugRefused && debug ? "debug-enabled" : "ok", facts: { coseTag18: bytes[0] === TAG_18 } };
}

/** A document's fields in the spelling of the collection. */
function documentFields(document: NitroDocument): Fields {
  return {
    moduleId: document.moduleId,
    timestamp: document.timestamp.getTime(),
    digest: "SHA384",
    pcrs: Object.fromEntries([...document.pcrs].map(([index, value]) => [String(index), value.toHex()])),
    publicKey: document.publicKey?.toHex() ?? null,
    userData: document.userData?.toHex() ?? null,
    nonce: document.nonce?.toHex() ?? null,
    debug: isDebugDocument(document),
    cabundleLength: document.caBundle.length,
  };
}
