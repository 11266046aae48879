import os
import ssl
import time
import urllib.error
import urllib.request

context = ssl.create_default_context(cafile="/tls/nginx-ca.crt")
address = f"https://{os.environ['nginx_server_name']}:8443/contract"


def ask(method, data=None):
    with urllib.request.urlopen(urllib.request.Request(address, method=method, data=data), context=context) as answer:
        return answer.read().decode()


while True:
    try:
        ask("PUT", b"signed")
        print("read:", ask("GET"), flush=True)
    except (urllib.error.URLError, ConnectionError) as error:
        print("not yet:", error, flush=True)
    time.sleep(1)
