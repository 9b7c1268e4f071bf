"""Receivers as users of the SDK write them: Flask, FastAPI, and the SDK's own WSGI and ASGI handlers.

Each verifies with the SDK, records what came to which path, and answers as the path's script says.
"""

import asyncio
import logging
import socket
import threading
import time
from collections import defaultdict
from wsgiref.simple_server import WSGIRequestHandler, make_server

import posthook
import uvicorn
from fastapi import FastAPI, Request, Response
from flask import Flask
from flask import request as flask_request
from werkzeug.serving import make_server as make_flask_server


logging.getLogger("werkzeug").setLevel(logging.ERROR)


class Sink:
    """What came, by path, and what is answered next: (status, headers, seconds before the answer)."""

    def __init__(self, signing_key):
        self.signatures = posthook.create_signatures(signing_key)
        self.received = defaultdict(list)
        self.scripts = defaultdict(list)
        self.on_delivery = {}

    def take(self, path, body, headers):
        entry = {"body": body, "headers": dict(headers), "at": time.time(), "delivery": None, "error": None}
        try:
            entry["delivery"] = self.signatures.parse_delivery(body, headers)
        except posthook.SignatureVerificationError as error:
            entry["error"] = error
        self.received[path].append(entry)
        script = self.scripts[path]
        return entry, (script.pop(0) if script else (200, {}, 0))

    def deliveries(self, path):
        return [entry["delivery"] for entry in self.received[path]]


def flask_receiver(sink):
    app = Flask("receiver")

    @app.post("/<path:path>")
    def receive(path):
        path = "/" + path
        entry, (status, headers, delay) = sink.take(path, flask_request.get_data(), flask_request.headers)
        if path in sink.on_delivery:
            sink.on_delivery[path](entry)
        time.sleep(delay)
        return ("", status if entry["error"] is None else 401, headers)

    server = make_flask_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def fastapi_receiver(sink):
    app = FastAPI()

    @app.post("/{path:path}")
    async def receive(path: str, request: Request):
        entry, (status, headers, delay) = sink.take("/" + path, await request.body(), request.headers)
        await asyncio.sleep(delay)
        return Response(status_code=status if entry["error"] is None else 401, headers=headers)

    return serve_asgi(app)


def serve_asgi(app):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    return listening.getsockname()[1]


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *args):
        pass


def serve_wsgi(app):
    server = make_server("127.0.0.1", 0, app, handler_class=QuietHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port
