"""Mutual TLS in memory with strict verification, as Python 3.13 and redis-py do it: verify.py DIRECTORY [path]."""
import ssl
import sys

directory = sys.argv[1]


def context(purpose, name):
    made = ssl.SSLContext(purpose)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(f"{directory}/{name}-chain.pem", f"{directory}/key.pem")
    made.load_verify_locations(f"{directory}/root.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


def handshake(host):
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(ssl.PROTOCOL_TLS_CLIENT, "client").wrap_bio(to_client, to_server, server_hostname=host)
    server = context(ssl.PROTOCOL_TLS_SERVER, "server").wrap_bio(to_server, to_client, server_side=True)
    open_sides = [client, server]
    for _ in range(10):
        for side in list(open_sides):
            try:
                side.do_handshake()
                open_sides.remove(side)
            except ssl.SSLWantReadError:
                pass
        if not open_sides:
            return client.getpeercert()["subjectAltName"]
    raise AssertionError("the handshake did not end")


for host in ["db.example", "web.shop.example", "10.96.0.10", "2001:db8::1"]:
    handshake(host)
try:
    handshake("other.example")
    raise AssertionError("a foreign name was accepted")
except ssl.SSLCertVerificationError:
    pass

try:
    from cryptography import x509
    from cryptography.x509.verification import PolicyBuilder, Store
except ImportError:
    print("verified by ssl; the package cryptography is not installed")
    sys.exit(0)


def read(name):
    with open(f"{directory}/{name}.pem", "rb") as file:
        return x509.load_pem_x509_certificate(file.read())


if "path" in sys.argv:
    verifier = PolicyBuilder().store(Store([read("root")])).build_server_verifier(x509.DNSName("db.example"))
    chain = verifier.verify(read("server"), [read("middle")])
    assert len(chain) == 3
print("verified by ssl and cryptography")
