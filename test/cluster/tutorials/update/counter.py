import hashlib
import os
import time

with open("/secret/kept.key", "rb") as key:
    fingerprint = hashlib.sha256(key.read()).hexdigest()[:16]
print(f"counter {os.environ['RELEASE_TAG']} with the key {fingerprint}", flush=True)
while True:
    time.sleep(60)
