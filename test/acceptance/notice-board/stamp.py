"""Stamps texts for clients whose certificate comes from the own CA. Standard library only."""
import hmac
import http.server
import ssl

with open("/pki/stamp.secret", "rb") as file:
    KEY = file.read()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"]))
        body = hmac.new(KEY, text, "sha256").hexdigest().encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/pki/stamp.pem", "/pki/stamp.key")
context.load_verify_locations("/pki/ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("stamp starts", len(KEY), flush=True)
server.serve_forever()
