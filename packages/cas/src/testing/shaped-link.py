"""A network link that loses, delays, doubles and reorders packets, for tests in a network namespace of their own.

A packet to 10.99.N.2 comes back as if that machine had sent it to 10.99.N.1, which is this one: whoever connects to 10.99.N.2 reaches a
server here, over the link with number N. Each line of standard input is JSON, {"N": {"loss": share, "delay": seconds, "jitter": seconds,
"twice": share, "mtu": bytes}}, and changes the links it names.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
chance = random.Random(576)


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def open_link(numbers):
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"shaped", IFF_TUN_WITHOUT_HEADER))
    ip("link", "set", "lo", "up")
    ip("link", "set", "shaped", "up")
    for number in numbers:
        ip("address", "add", f"10.99.{number}.1/24", "dev", "shaped")
    return device


def apply(links, changes):
    for number, link in changes.items():
        links[int(number)] = {"loss": 0, "delay": 0, "jitter": 0, "twice": 0, "mtu": 1500, **link}
        here = f"10.99.{number}.1"
        ip("route", "replace", f"10.99.{number}.0/24", "dev", "shaped", "src", here, "mtu", str(links[int(number)]["mtu"]))


def main():
    links = {}
    first = json.loads(sys.stdin.readline())
    device = open_link(first)
    apply(links, first)
    print("ready", flush=True)
    waiting = []
    count = 0
    while True:
        pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([device, sys.stdin], [], [], pause)
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            apply(links, json.loads(line))
            print("changed", flush=True)
        if device in readable:
            packet = os.read(device, 65535)
            link = links.get(packet[14]) if packet[0] >> 4 == 4 and packet[12:14] == b"\x0a\x63" else None
            # The sum of both addresses stays what it was, and with it every checksum.
            if link is not None and len(packet) <= link["mtu"]:
                back = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                for _ in range(1 + (chance.random() < link["twice"])):
                    if chance.random() >= link["loss"]:
                        count += 1
                        heapq.heappush(waiting, (time.monotonic() + link["delay"] + chance.random() * link["jitter"], count, back))
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(device, heapq.heappop(waiting)[2])


main()
