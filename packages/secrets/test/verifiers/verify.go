// Verifies a chain of three as Go's TLS does: verify DIRECTORY, with root.pem, middle.pem, server.pem and client.pem in it.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

func read(name string) *x509.Certificate {
	text, err := os.ReadFile(filepath.Join(os.Args[1], name))
	check(err)
	block, rest := pem.Decode(text)
	if block == nil || len(rest) != 0 {
		check(fmt.Errorf("%s is not one PEM block", name))
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
	roots, middles := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(read("root.pem"))
	middles.AddCert(read("middle.pem"))
	server, client := read("server.pem"), read("client.pem")
	for _, name := range []string{"db.example", "web.shop.example", "10.96.0.10", "[2001:db8::1]"} {
		options := x509.VerifyOptions{Roots: roots, Intermediates: middles, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		_, err := server.Verify(options)
		check(err)
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: middles, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	_, err := client.Verify(options)
	check(err)
	if _, err := server.Verify(options); err == nil {
		check(fmt.Errorf("a server certificate was accepted as a client's"))
	}
	fmt.Println("verified")
}
