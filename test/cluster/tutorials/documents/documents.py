import os
import time

import redis

store = redis.Redis(
    host=os.environ["REDIS_HOST"], port=int(os.environ["REDIS_PORT"]), ssl=True,
    ssl_certfile="/tls/client.crt", ssl_keyfile="/tls/client.key", ssl_ca_certs="/tls/ca.crt",
)
while True:
    if os.environ["PART"] == "writer":
        store.set("document", "signed")
    elif (document := store.get("document")) is not None:
        print("read:", document.decode(), flush=True)
    time.sleep(1)
