/** Documents of Intel's Provisioning Certification Service (API v4) for one platform, byte for byte as it answers. */
export interface IntelCollateral {
  readonly tcbInfo?: Uint8Array;
  readonly qeIdentity?: Uint8Array;
  /** PEM: the TCB signing certificate, then the root. */
  readonly tcbSigningChain?: Uint8Array;
  /** Where it differs from the other one. */
  readonly qeIdentitySigningChain?: Uint8Array;
  /** DER, of the CA that issued the PCK certificate. */
  readonly pckCrl?: Uint8Array;
  /** DER. */
  readonly rootCaCrl?: Uint8Array;
}

/** What a quote needs: enough to ask the provisioning service, or a store of its answers. */
export interface IntelCollateralQuery {
  readonly tee: "sgx" | "tdx";
  /** 12 hex digits in lower case. */
  readonly fmspc: string;
  readonly authority: "processor" | "platform";
}

/** Asked while a quote is verified, so it must answer at once; undefined where nothing is at hand. Answers are verified, whoever gives them. */
export type IntelCollateralSource = (query: IntelCollateralQuery) => IntelCollateral | undefined;
