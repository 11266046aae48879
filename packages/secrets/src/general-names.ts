import { parseIpAddress, type SubjectAltName } from "@vouchsafe/policy";
import * as der from "./der.ts";

/** GeneralNames of RFC 5280 §4.2.1.6. */
export function subjectAltNameValue(names: readonly SubjectAltName[]): Uint8Array {
  return der.sequence(...names.map(generalName));
}

function generalName({ kind, value }: SubjectAltName): Uint8Array {
  if (kind === "dns") return der.implicit(2, der.ia5(value));
  if (kind === "uri") return der.implicit(6, der.ia5(value));
  const address = parseIpAddress(value);
  if (address === undefined) throw new TypeError(`${value} is no address`);
  return der.implicit(7, address);
}
