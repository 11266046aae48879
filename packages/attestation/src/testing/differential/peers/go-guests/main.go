// Answers questions of compare-verifiers.ts, one JSON object a line, with the modules go-tdx-guest and go-sev-guest.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	sevabi "github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/proto/sevsnp"
	sevverify "github.com/google/go-sev-guest/verify"
	sevtrust "github.com/google/go-sev-guest/verify/trust"
	tdxverify "github.com/google/go-tdx-guest/verify"
)

type question struct {
	Define     string            `json:"define"`
	Kind       string            `json:"kind"`
	Root       string            `json:"root"`
	Collateral map[string]string `json:"collateral"`
	Setting    string            `json:"setting"`
	Evidence   string            `json:"evidence"`
	Now        int64             `json:"now"`
}

type answer struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
}

// service answers as Intel's does, with the documents of a setting.
type service map[string]string

func (s service) Get(address string) (map[string][]string, []byte, error) {
	chain := func(header, name string) map[string][]string {
		return map[string][]string{header: {url.QueryEscape(s[name])}}
	}
	switch {
	case strings.Contains(address, "/qe/identity"):
		return chain("Sgx-Enclave-Identity-Issuer-Chain", "qe_identity_issuer_chain"), []byte(s["qe_identity_document"]), nil
	case strings.Contains(address, "/tcb?"):
		return chain("Tcb-Info-Issuer-Chain", "tcb_info_issuer_chain"), []byte(s["tcb_info_document"]), nil
	case strings.Contains(address, "/pckcrl"):
		body, err := hex.DecodeString(s["pck_crl"])
		return chain("Sgx-Pck-Crl-Issuer-Chain", "pck_crl_issuer_chain"), body, err
	case strings.HasSuffix(address, ".der"):
		body, err := hex.DecodeString(s["root_ca_crl"])
		return nil, body, err
	}
	return nil, nil, fmt.Errorf("nothing is at %s", address)
}

func verifyTdx(q question, setting question) error {
	root, err := hex.DecodeString(setting.Root)
	if err != nil {
		return err
	}
	certificate, err := x509.ParseCertificate(root)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	quote, err := hex.DecodeString(q.Evidence)
	if err != nil {
		return err
	}
	options := &tdxverify.Options{
		CheckRevocations: true,
		GetCollateral:    true,
		Getter:           service(setting.Collateral),
		Now:              time.Unix(q.Now, 0),
		TrustedRoots:     roots,
	}
	return tdxverify.RawTdxQuote(quote, options)
}

func verifySnp(q question, setting question) error {
	raw, err := hex.DecodeString(q.Evidence)
	if err != nil {
		return err
	}
	if len(raw) != sevabi.ReportSize {
		return fmt.Errorf("a report of %d bytes", len(raw))
	}
	report, err := sevabi.ReportToProto(raw)
	if err != nil {
		return err
	}
	der := func(name string) []byte {
		bytes, _ := hex.DecodeString(setting.Collateral[name])
		return bytes
	}
	parsed := func(name string) *x509.Certificate {
		certificate, _ := x509.ParseCertificate(der(name))
		return certificate
	}
	attestation := &sevsnp.Attestation{Report: report, CertificateChain: &sevsnp.CertificateChain{
		VcekCert: der("vcek"), VlekCert: der("vlek"), AskCert: der("signer"), ArkCert: der("ark"), Extras: map[string][]byte{},
	}}
	line := setting.Collateral["product"]
	root := &sevtrust.AMDRootCerts{ProductLine: line, ProductCerts: &sevtrust.ProductCerts{Ark: parsed("ark"), Ask: parsed("signer"), Asvk: parsed("signer")}}
	options := &sevverify.Options{
		DisableCertFetching: true,
		Now:                 time.Unix(q.Now, 0),
		TrustedRoots:        map[string][]*sevtrust.AMDRootCerts{line: {root}},
		Product:             &sevsnp.SevProduct{Name: product(line)},
	}
	return sevverify.SnpAttestation(attestation, options)
}

func product(line string) sevsnp.SevProduct_SevProductName {
	switch line {
	case "Genoa":
		return sevsnp.SevProduct_SEV_PRODUCT_GENOA
	case "Turin":
		return sevsnp.SevProduct_SEV_PRODUCT_TURIN
	}
	return sevsnp.SevProduct_SEV_PRODUCT_MILAN
}

func judge(q question, setting question) (result answer) {
	defer func() {
		if fault := recover(); fault != nil {
			result = answer{Verdict: "crashed", Reason: fmt.Sprint(fault)}
		}
	}()
	verify := verifyTdx
	if setting.Kind == "snp" {
		verify = verifySnp
	}
	if err := verify(q, setting); err != nil {
		return answer{Verdict: "refused", Reason: err.Error()}
	}
	return answer{Verdict: "accepted"}
}

func main() {
	settings := map[string]question{}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			panic(err)
		}
		if q.Define != "" {
			settings[q.Define] = q
			continue
		}
		if err := out.Encode(judge(q, settings[q.Setting])); err != nil {
			panic(err)
		}
	}
}
