import { minimumSvnWord, tcbWord } from "./hardware-words.ts";
import { isPlaceholder } from "./normal-parts.ts";
import type { AttestationVariant, HardwareFacts, Placeholder, Service, SignerFactor } from "./session.ts";

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

function listText(name: string, values: readonly (string | Placeholder)[]): string {
  const [only] = values;
  return values.length === 1 && only !== undefined ? `${name} ${shown(only)}` : `${name} in ${values.length} values`;
}

function hardwareTexts({ kind, values, platform = [], guestPolicy = [], minimumTcb, minimumSvn }: HardwareFacts): string[] {
  return [
    ...Object.entries(values).map(([name, accepted]) => listText(`${kind} ${name}`, accepted)),
    ...platform.map((property) => `${kind} platform with ${property}`),
    ...guestPolicy.map((demand) => `${kind} guest policy with ${demand}`),
    ...Object.entries(minimumTcb).map(([part, least]) => `${kind} TCB ${tcbWord(part)} ≥ ${least}`),
    ...(minimumSvn === undefined ? [] : [`${kind} ${minimumSvnWord(kind).replace("_min", "")} ≥ ${minimumSvn}`]),
  ];
}

/** One variant in words. */
export function explainVariant(variant: AttestationVariant | Placeholder): string {
  if (isPlaceholder(variant)) return `what ${variant.text} says`;
  const { mrenclave, signer, image, hardware } = variant;
  const factors = [];
  if (mrenclave !== undefined) factors.push(listText("mrenclave", mrenclave));
  if (signer !== undefined) factors.push(signerText(signer));
  if (image !== undefined)
    factors.push(
      listText(
        "image",
        image.map((digest) => (isPlaceholder(digest) ? digest : digest.replace("sha256:", ""))),
      ),
    );
  if (hardware !== undefined) factors.push(...hardwareTexts(hardware));
  return factors.length > 1 ? `(${factors.join(" AND ")})` : factors.join("");
}

/** The one-line reading of a service's attestation (SL-76). */
export function explainAttestation(service: Service): string {
  if (service.attestation.length === 0) return "admits: any program";
  return `admits: ${service.attestation.map(explainVariant).join(" OR ")}`;
}
