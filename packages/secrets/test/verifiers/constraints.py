"""Name constraints as Python's TLS obeys them: constraints.py DIRECTORY, with ca.pem, inside.pem, outside.pem and key.pem in it."""
import ssl
import sys

directory = sys.argv[1]


def handshake(name, host):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(f"{directory}/{name}.pem", f"{directory}/key.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(f"{directory}/ca.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    open_sides = [client.wrap_bio(to_client, to_server, server_hostname=host), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(10):
        for side in list(open_sides):
            try:
                side.do_handshake()
                open_sides.remove(side)
            except ssl.SSLWantReadError:
                pass
        if not open_sides:
            return
    raise AssertionError("the handshake did not end")


handshake("inside", "a.shop.example")
try:
    handshake("outside", "a.other.example")
    raise AssertionError("a name outside of the constraints was accepted")
except ssl.SSLCertVerificationError as error:
    assert "permitted subtree violation" in str(error), error
print("verified")
