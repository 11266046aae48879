/** Cases that we alone accept, and why that is right. Every pattern must fit: that of the label, and that of all refusals together. */
export const ARGUED: readonly { readonly label: RegExp; readonly reasons: RegExp; readonly why: string }[] = [
  {
    label: /^snp/,
    reasons: /not an AMD KDS OID: 1\.3\.6\.1\.4\.1\.3704\.1\.3\.9/,
    why: "go-sev-guest 0.15.0 does not know the FMC version, which VCEKs of Turin have",
  },
  {
    label: /^minted sgx: .*version/,
    reasons: /^SGX TEE quote must have version 3( \| SGX TEE quote must have version 3)*$/,
    why: "dcap-qvl takes SGX quotes of version 3 alone; Intel's own library takes them in version 4 and 5 too",
  },
  {
    label: /^minted .*authenticationData/,
    reasons: /Invalid QE auth data length/,
    why: "dcap-qvl wants 32 bytes of QE authentication data, as Intel's enclave makes them; their length is free, and the QE report binds them",
  },
];
