"""A notice board. Texts are stamped by a second service before they are shown; nothing here knows how it is run."""
import hashlib
import os
import ssl
import sys
import urllib.request

from flask import Flask, jsonify, request
from slugify import slugify

app = Flask(__name__)
notices = {}


def stamp(text):
    context = ssl.create_default_context(cafile="/pki/stamp-ca.pem")
    context.load_cert_chain("/pki/me.pem", "/pki/me.key")
    url = f"https://{os.environ['STAMP_HOST']}:{os.environ['STAMP_PORT']}/"
    with urllib.request.urlopen(url, data=text.encode(), timeout=10, context=context) as answer:
        return answer.read().decode()


@app.post("/notices")
def add():
    title, text = request.form["title"], request.form["text"]
    notices[slugify(title)] = {"text": text, "stamp": stamp(text)}
    return jsonify(slug=slugify(title), **notices[slugify(title)])


@app.get("/notices/<slug>")
def show(slug):
    return jsonify(notices[slug]) if slug in notices else (jsonify(error="no such notice"), 404)


@app.get("/about")
def about():
    with open("/etc/board/motto.txt", encoding="utf-8") as motto, open("texts/greeting.txt", encoding="utf-8") as greeting:
        return jsonify(
            motto=motto.read(),
            greeting=greeting.read(),
            variables=sorted(os.environ),
            arguments=sys.argv[1:],
            directory=os.getcwd(),
            pin_digest=hashlib.sha256(os.environ["ADMIN_PIN"].encode()).hexdigest(),
            pin_length=len(os.environ["ADMIN_PIN"]),
        )


if __name__ == "__main__":
    print("board starts", flush=True)
    app.run(host="0.0.0.0", port=8443, threaded=True, ssl_context=("/pki/board.pem", "/pki/board.key"))
