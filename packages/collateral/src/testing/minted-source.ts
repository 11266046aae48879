import type { MintedIntel } from "../../../attestation/src/testing/mint-intel.ts";
import type { CollateralSource } from "../sources/collateral-source.ts";
import { pckIssuerChain } from "./collateral-server.ts";

/** Gives the collateral of one minted platform to whoever asks for its TEE, without a network. */
export function mintedSource(minted: MintedIntel, name = "minted"): CollateralSource {
  const { tcbInfo, qeIdentity, pckCrl, rootCaCrl, tcbSigningChain } = minted.collateral;
  const answer = (body: Uint8Array | undefined, chain?: Uint8Array) => (body === undefined ? undefined : { body, chain });
  return {
    name,
    async fetch({ kind }) {
      if (kind === "tcb-info") return answer(tcbInfo, tcbSigningChain);
      if (kind === "qe-identity") return answer(qeIdentity, tcbSigningChain);
      if (kind === "pck-crl") return answer(pckCrl, Buffer.from(pckIssuerChain(minted)));
      return kind === "root-ca-crl" ? answer(rootCaCrl) : undefined;
    },
  };
}
