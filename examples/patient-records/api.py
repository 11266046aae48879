"""Keeps patient and client records in Redis and gives each a score.

An ordinary Flask program: certificates and keys are files below /tls, the address of Redis is in two variables. How they get there is
nothing it has to know.
"""

import json
import os
import random
import socket
import ssl
import sys

from flask import Flask, make_response, request
from flask_restful import Api, Resource
from redis import Redis, ResponseError

PORT = 4996
PATIENT_FIELDS = (
    "fname", "lname", "address", "city", "state", "ssn", "email", "dob", "contactphone", "drugallergies", "preexistingconditions",
    "dateadmitted", "insurancedetails",
)
CLIENT_FIELDS = ("fname", "lname", "address", "city", "iban", "ssn", "email")

app = Flask(__name__)
app.config["RESTFUL_JSON"] = {"sort_keys": True}
app.config["MAX_FORM_MEMORY_SIZE"] = 16 * 1024 * 1024  # Flask's own limit is 500 kB
api = Api(app)


def connect():
    """Opens the store over mutual TLS and makes sure that it answers."""
    host = os.environ.get("REDIS_HOST", "redis")
    port = int(os.environ.get("REDIS_PORT", "6379"))
    print(f"Connecting to the store at {host}:{port}", flush=True)
    store = Redis(
        host=host,
        port=port,
        ssl=True,
        ssl_certfile="/tls/client.crt",
        ssl_keyfile="/tls/client.key",
        ssl_ca_certs="/tls/redis-ca.crt",
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
        decode_responses=True,
    )
    print(f"The store has the address {socket.gethostbyname(host)}", flush=True)
    store.info()
    print("The connection to the store is fine", flush=True)
    return store


def refusal(status, text):
    return make_response({"error": text}, status)


class Record(Resource):
    """Creates a record once and returns it afterwards; the id in the path is the key in the store."""

    kind = ""
    fields = ()

    def get(self, record_id):
        stored = store.get(record_id)
        if stored is None:
            return refusal(404, f"unknown {self.kind}_id")
        return {**json.loads(stored), "id": record_id}

    def post(self, record_id):
        if store.exists(record_id):
            return refusal(403, "already exists")
        record = {field: request.form[field] for field in self.fields}
        record["score"] = random.random()
        # One conditional write: of two simultaneous requests for one id, one creates the record and the other is refused.
        try:
            created = store.set(record_id, json.dumps(record), nx=True)
        except ResponseError as error:
            print(f"The store refuses a record: {type(error).__name__}", file=sys.stderr, flush=True)
            return refusal(500, "internal server error")
        if not created:
            return refusal(403, "already exists")
        return {**record, "id": record_id}


class Patient(Record):
    kind = "patient"
    fields = PATIENT_FIELDS


class Client(Record):
    kind = "client"
    fields = CLIENT_FIELDS


class Score(Resource):
    def get(self, record_id):
        stored = store.get(record_id)
        if stored is None:
            return refusal(404, "unknown patient")
        return {"id": record_id, "score": json.loads(stored)["score"]}


class Keys(Resource):
    def get(self):
        return {"keys": [json.loads(store.get(key)) for key in store.scan_iter()]}


class Memory(Resource):
    """Shows what an attacker inside the process's machine would try: reading the memory of the program."""

    def get(self):
        with open("/proc/self/maps", encoding="ascii") as maps, open("/proc/self/mem", "rb", 0) as memory:
            for line in maps:
                bounds, permissions = line.split()[:2]
                if not permissions.startswith("r"):
                    continue
                start, end = (int(bound, 16) for bound in bounds.split("-"))
                try:
                    memory.seek(start)
                    print(memory.read(end - start), flush=True)
                except (OSError, OverflowError, ValueError) as error:
                    print(f"cannot read {bounds}: {error}", file=sys.stderr, flush=True)
        print("END", flush=True)
        return None


api.add_resource(Patient, "/patient/<string:record_id>")
api.add_resource(Client, "/client/<string:record_id>")
api.add_resource(Score, "/score/<string:record_id>")
api.add_resource(Keys, "/keys")
if os.environ.get("DEMO_MEMORY") == "1":
    api.add_resource(Memory, "/memory")

if __name__ == "__main__":
    store = connect()
    print("Starting to serve", flush=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain("/tls/flask.crt", "/tls/flask.key")
    app.run(host="0.0.0.0", port=PORT, threaded=True, ssl_context=tls)
