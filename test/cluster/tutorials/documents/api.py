import http.server
import os
import ssl

import pymemcache
import pymysql


def client_context(ca, certificate):
    context = ssl.create_default_context(cafile=f"/tls/{ca}.crt")
    context.load_cert_chain(f"/tls/{certificate}.crt", f"/tls/{certificate}.key")
    return context


def database(user="api", password=""):
    return pymysql.connect(
        host=os.environ["database_host"], port=int(os.environ["database_port"]), user=user, password=password, database="documents",
        ssl=client_context("database-ca", "database-client"), autocommit=True,
    )


cache = pymemcache.Client(
    (os.environ["memcached_host"], int(os.environ["memcached_port"])), tls_context=client_context("cache-ca", "cache-client"),
)


class Documents(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with database() as connection, connection.cursor() as cursor:
            cursor.execute("REPLACE INTO document VALUES (%s, %s)", (self.path, text))
        self.answer(200, "stored")

    def do_GET(self):
        cache.add("requests", "0", noreply=False)
        count = cache.incr("requests", 1)
        with database() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT text FROM document WHERE name = %s", (self.path,))
            found = cursor.fetchone()
        self.answer(200 if found else 404, f"{found[0] if found else ''} (request {count})")

    def log_message(self, *_):
        pass


with database("root", os.environ["database_password"]) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT COUNT(*) FROM document")
    print("documents at the start:", cursor.fetchone()[0], flush=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/api.crt", "/tls/api.key")
context.load_verify_locations("/tls/api-ca.crt")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer(("", 8000), Documents)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
