/** A difference between us and another verifier that was looked at, and why it is as it should be. */
interface Argued {
  /** Fits `PEER: VERDICT, we: VERDICT (OUR REASON) | THEIR REASON`. */
  readonly difference: RegExp;
  readonly why: string;
}

/** Where they accept and we refuse. That is never a hole; it would be a fault if the Evidence were genuine. */
const STRICTER: readonly Argued[] = [
  {
    difference: /accepted.*we: refused \(trailing-data\)/,
    why: "one quote has one spelling: only zeros, as buffers of quoting libraries have them, may follow it or its parts",
  },
  {
    difference: /accepted.*we: refused \(parse-error\)/,
    why: "what is sent is read whole: unknown members, TCB types and statuses, empty lists, DER and base64 that are not canonical are refused",
  },
  {
    difference: /accepted.*we: refused \(collateral-mismatch\)/,
    why: "they do not compare the PCE id of TCB Info with the certificate's",
  },
  {
    difference:
      /accepted.*we: refused \((bad-chain|untrusted-root|cert-expired|cert-not-yet-valid)\)|Rust.*accepted.*we: refused \(collateral-bad-chain\)/,
    why: "they take the root from their own store and do not look at the copy in a chain; what is sent is to be whole",
  },
  {
    difference: /accepted.*we: refused \(crl-expired\)/,
    why: "they do not look at nextUpdate of a revocation list, or not at that of the root's",
  },
  {
    difference: /JavaScript.*accepted.*we: refused \((crl-bad-signature|crl-mismatch)\)/,
    why: "the JavaScript release does not verify the lists it is given, as the Rust one does",
  },
  {
    difference: /JavaScript.*accepted.*we: refused \((collateral-bad-chain|tdx-module-mismatch|tcb-revoked)\)/,
    why: "the JavaScript release does not ask who issued the TCB signer, whether the TDX module is listed, or whether a level is revoked, as the Rust one does",
  },
  {
    difference: /accepted.*we: refused \(td-attributes\)/,
    why: "they leave weak attributes of a guest to policy; so do we, as weaknesses that appraisal refuses",
  },
  {
    difference: /^go.*accepted.*we: refused \(collateral-not-yet-valid\)/,
    why: "go-tdx-guest looks at nextUpdate, not at issueDate",
  },
  {
    difference: /^go.*accepted.*we: refused \(tcb-mismatch\)/,
    why: "go-sev-guest compares the report's TCB with the certificate's in another step, its validation",
  },
  {
    difference: /^go.*crashed.*we: refused/,
    why: "go-tdx-guest reads beyond its buffer where a length is too large",
  },
];

/** Where we accept and they refuse. Each has to name the very words of the refusal. */
const MORE_LENIENT: readonly Argued[] = [
  {
    difference: /^go.*refused, we: accepted \| not an AMD KDS OID: #/,
    why: "go-sev-guest 0.15.0 does not know the FMC version, which VCEKs of Turin have",
  },
  {
    difference: /refused, we: accepted.*\| SGX TEE quote must have version #/,
    why: "dcap-qvl takes SGX quotes of version 3 alone; Intel's own library takes them in version 4 and 5 too",
  },
  {
    difference: /refused, we: accepted.*\| (Invalid QE auth data length|QE report hash mismatch)/,
    why: "dcap-qvl wants 32 bytes of QE authentication data, as Intel's enclave makes them; their length is free, and the QE report binds them",
  },
  {
    difference: /JavaScript.*refused, we: accepted.*\| Debug mode is enabled/,
    why: "debug mode is a claim that appraisal refuses; the JavaScript release refuses it at once, the Rust one was told not to",
  },
  {
    // "Revoked" for the JavaScript release alone: were a level that counts revoked, Rust would refuse it too, and nobody argues that.
    difference: /JavaScript.*refused, we: accepted.*\| (No matching TCB level found|TCB status is invalid: Revoked)/,
    why: "the JavaScript release trusts the order of TCB levels; Rust and we look for the highest that fits",
  },
  {
    difference: /^go.*refused, we: accepted.*\| FMSPC from PCK Certificate/,
    why: "go-tdx-guest compares the letters of the FMSPC, which Intel writes large and small",
  },
  {
    difference: /^go.*refused, we: accepted (?!UpToDate).*\| (TDX TCB info|QE Identity) reported by Intel PCS failed TCB status check/,
    why: "go-tdx-guest refuses every platform that is not up to date; here that is a status, which policy judges",
  },
  {
    difference: /^go.*refused, we: accepted UpToDate \| TDX TCB info reported by Intel PCS failed TCB status check: TCB Status is not/,
    why: "go-tdx-guest takes the first level in the order of the document; levels out of order are sorted here",
  },
  {
    difference:
      /^go.*refused, we: accepted.*\| could not convert raw bytes to QuoteV#: (size of certificate data|parsing PCK certification chain failed)/,
    why: "go-tdx-guest lets no zeros follow the parts within the signature; Rust and we do, since quoting libraries pad there too",
  },
  {
    difference: /^go.*refused, we: accepted.*\| incomplete PCK Certificate chain found/,
    why: "text around the PEM blocks of a chain is not looked at (RFC 7468, section 2); go-tdx-guest wants none between them",
  },
  {
    difference: /JavaScript.*refused, we: accepted.*\| Failed to decode quote/,
    why: "the JavaScript release does not know the extended report of TDX 1.5 (body type 4); Rust does",
  },
];

/** Where all accept, and differ about the status. */
const OTHER_STATUS: readonly Argued[] = [
  {
    difference: /JavaScript.*accepted \w+( with other advisories)?, we: accepted \w+ \|/,
    why: "the JavaScript release trusts the order of TCB levels; Rust and we look for the highest that fits",
  },
  {
    difference:
      /Rust.*accepted (UpToDate|OutOfDate|SWHardeningNeeded), we: accepted \w*ConfigurationNeeded|Rust.*we: accepted ConfigurationAndSWHardeningNeeded/,
    why: "a QE that needs another configuration: Rust does not say so in the status, we do, as the worse of two",
  },
  {
    difference: /Rust.*accepted ConfigurationNeeded, we: accepted OutOfDateConfigurationNeeded/,
    why: "a QE that is out of date and needs another configuration: Rust does not say so in the status, we do, as the worse of two",
  },
  {
    difference: /Rust.*accepted TDRelaunchAdvised\w*, we: accepted OutOfDate/,
    why: "a guest that outlived an update of the TDX module stays out of date here, and the claim relaunchAdvised says that a new start would mend it",
  },
];

/** Why a difference is right, if it was looked at. */
export function argumentFor(difference: string): string | undefined {
  return [...MORE_LENIENT, ...STRICTER, ...OTHER_STATUS].find((argued) => argued.difference.test(difference))?.why;
}
