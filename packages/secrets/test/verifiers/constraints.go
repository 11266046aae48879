// Name constraints as Go's TLS obeys them: constraints DIRECTORY, with ca.pem, inside.pem and outside.pem in it.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func read(name string) *x509.Certificate {
	text, err := os.ReadFile(filepath.Join(os.Args[1], name))
	check(err)
	block, _ := pem.Decode(text)
	if block == nil {
		check(fmt.Errorf("%s is no PEM", name))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	check(err)
	return certificate
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	roots := x509.NewCertPool()
	roots.AddCert(read("ca.pem"))
	options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	_, err := read("inside.pem").Verify(options)
	check(err)
	_, err = read("outside.pem").Verify(options)
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.CANotAuthorizedForThisName {
		check(fmt.Errorf("a name outside of the constraints: %v", err))
	}
	fmt.Println("verified")
}
