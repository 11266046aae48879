import { isPlaceholder } from "./normal-parts.ts";
import type { AttestationVariant, Placeholder, Service, SignerFactor } from "./session.ts";

const short = (value: string) => (value.length > 12 ? `${value.slice(0, 8)}…` : value);
const shown = (value: string | number | Placeholder) => (typeof value === "object" ? value.text : short(String(value)));

function signerText(signer: SignerFactor | Placeholder): string {
  if (isPlaceholder(signer)) return `signer ${signer.text}`;
  const { mrsigner, isvprodid, isvsvn, isvsvnMin, isvsvnMax } = signer;
  const version =
    isvsvn !== undefined
      ? `, version ${shown(isvsvn)}`
      : [
          isvsvnMin === undefined ? "" : `, version ≥ ${shown(isvsvnMin)}`,
          isvsvnMax === undefined ? "" : `, version ≤ ${shown(isvsvnMax)}`,
        ].join("");
  return `signer ${shown(mrsigner)} product ${shown(isvprodid)}${version}`;
}

/** One variant in words. */
export function explainVariant(variant: AttestationVariant | Placeholder): string {
  if (isPlaceholder(variant)) return `what ${variant.text} says`;
  const { mrenclave, signer } = variant;
  const factors = [];
  if (mrenclave !== undefined) {
    const [only] = mrenclave;
    factors.push(mrenclave.length === 1 && only !== undefined ? `mrenclave ${shown(only)}` : `mrenclave in ${mrenclave.length} values`);
  }
  if (signer !== undefined) factors.push(signerText(signer));
  return factors.length > 1 ? `(${factors.join(" AND ")})` : factors.join("");
}

/** The one-line reading of a service's attestation (SL-76). */
export function explainAttestation(service: Service): string {
  if (service.attestation.length === 0) return "admits: any program";
  return `admits: ${service.attestation.map(explainVariant).join(" OR ")}`;
}
