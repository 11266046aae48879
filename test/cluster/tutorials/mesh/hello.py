import os
import time

with open("/secret/greeting.key") as key:
    is_key = key.readline().startswith("-----BEGIN")
while True:
    print(f"hello {os.environ['GREETED']}, key: {is_key}", flush=True)
    time.sleep(2)
