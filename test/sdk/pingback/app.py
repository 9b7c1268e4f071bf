"""
An application as users of Pingback's SDK write it, served by one of four frameworks. It prints its port, and
takes commands of the test at /test/*. Every public method of the package that is called is noted.
"""
import dataclasses
import inspect
import json
import os
import sys
import threading
import time
from datetime import datetime

import pingback
from pingback import Context, Pingback

FRAMEWORK, PORT, PLATFORM, KEY, SECRET = sys.argv[1:6]

called = set()


def note_calls(cls):
    public = [name for name, value in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")]
    for name in public:
        def wrap(original, label):
            def noted(*args, **kwargs):
                called.add(label)
                return original(*args, **kwargs)
            return noted
        setattr(cls, name, wrap(getattr(cls, name), f"{cls.__name__}.{name}"))
    return [f"{cls.__name__}.{name}" for name in public]


exported = [value for value in vars(pingback).values() if inspect.isclass(value)]
public_methods = [name for cls in exported for name in note_calls(cls)]

PATH = "/hooks/pingback"
pb = Pingback(api_key=KEY, cron_secret=SECRET, platform_url=PLATFORM, base_url=f"http://127.0.0.1:{PORT}{PATH}")
state = {"running": 0, "overlap": False, "ticks": 0, "leaf": []}


@dataclasses.dataclass
class Order:
    number: int
    note: str = "none"


@pb.cron("tick", schedule="* * * * * *", retries=1, timeout="5s", concurrency=1)
def tick(ctx):
    state["ticks"] += 1
    state["at"] = ctx.scheduled_at.isoformat()
    assert isinstance(ctx.scheduled_at, datetime) and ctx.scheduled_at.microsecond == 0


@pb.task("echo")
def echo(ctx, payload):
    return {"payload": payload, "id": ctx.execution_id, "attempt": ctx.attempt}


@pb.task("typed", unpack_payload=False)
def typed(ctx, order: Order):
    return {"number": order.number, "note": order.note}


@pb.task("unpacked")
def unpacked(ctx, to, subject="none"):
    return f"{to}: {subject}"


@pb.task("logging")
def log_all(ctx):
    ctx.log("an info", k=1)
    ctx.warn("a warning", nested={"a": [1, 2]})
    ctx.error("an error")
    ctx.debug("a detail", é="ü")
    return {"x": 1}


@pb.task("flaky", retries=2)
def flaky(ctx):
    ctx.log(f"attempt {ctx.attempt}")
    if ctx.attempt < 3:
        raise RuntimeError(f"failure {ctx.attempt}")
    return "at last"


@pb.task("failing")
def failing(ctx):
    ctx.log("before")
    ctx.task("leaf", "must not run")
    raise ValueError("on purpose")


@pb.task("slow", timeout="1s")
def slow(ctx):
    time.sleep(3)


@pb.task("exclusive", concurrency=1)
def exclusive(ctx):
    state["running"] += 1
    state["overlap"] = state["overlap"] or state["running"] > 1
    time.sleep(0.1)
    state["running"] -= 1


@pb.task("parent")
def parent(ctx, payload):
    for number in range(3):
        ctx.task("child", {"number": number})
    ctx.task("unknown")
    return payload


@pb.task("child", concurrency=5, timeout="7s", retries=1)
def child(ctx, payload):
    ctx.task("leaf")
    return payload


@pb.task("leaf", concurrency=5)
def leaf(ctx, payload):
    state["leaf"].append(payload)
    return payload


@pb.task("crash", retries=2)
def crash(ctx):
    if ctx.attempt == 1:
        os._exit(7)
    return "survived"


def command(name, argument):
    if name == "trigger":
        try:
            return pb.trigger(*argument["args"], **argument.get("kwargs", {}))
        except RuntimeError as error:
            return {"error": str(error)}
    if name == "register":
        pb.register()
        return None
    if name == "state":
        return {**state, "called": sorted(called), "public": sorted(public_methods)}
    if name == "unsigned":
        return pb.handle(b"{}", {"X-Pingback-Signature": "x", "X-Pingback-Timestamp": "1"})
    raise KeyError(name)


def run_command(path, body):
    return json.dumps(command(path.rsplit("/", 1)[1], json.loads(body or b"null"))).encode()


def say_ready():
    # In one write: who has read the word may close the pipe at once.
    os.write(1, b"ready\n")


def serve_wsgi(app):
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        # The default of five drops connections of those who come all at once.
        request_queue_size = 128

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    server = make_server("127.0.0.1", int(PORT), app, server_class=Server, handler_class=Quiet)
    say_ready()
    server.serve_forever()


def raw_wsgi(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    path = environ["PATH_INFO"]
    if path.startswith("/test/"):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [run_command(path, body)]
    if path != PATH:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"nothing here"]
    headers = {
        "X-Pingback-Signature": environ.get("HTTP_X_PINGBACK_SIGNATURE", ""),
        "X-Pingback-Timestamp": environ.get("HTTP_X_PINGBACK_TIMESTAMP", ""),
    }
    result = pb.handle(body, headers)
    status = result.pop("_status", 200)
    start_response(f"{status} Status", [("Content-Type", "application/json")])
    return [json.dumps(result).encode()]


def main_flask():
    from flask import Flask, request

    app = Flask(__name__)
    app.add_url_rule(PATH, view_func=pb.flask_handler(), methods=["POST"], endpoint="pingback")

    @app.post("/test/<name>")
    def test_command(name):
        return run_command(name if "/" in name else f"/{name}", request.get_data()), 200

    serve_wsgi(app)


def main_django():
    from django.conf import settings

    settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False)
    import django
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse, JsonResponse
    from django.urls import re_path

    def dispatch(request):
        result = pb.handle(request.body, dict(request.headers))
        status = result.pop("_status", 200)
        return JsonResponse(result, status=status)

    def test_command(request, name):
        return HttpResponse(run_command(f"/{name}", request.body), content_type="application/json")

    globals()["urlpatterns"] = [
        re_path(r"^hooks/pingback$", dispatch),
        re_path(r"^test/(?P<name>\w+)$", test_command),
    ]
    django.setup()
    pb.register()
    serve_wsgi(WSGIHandler())


def main_asgi():
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    sdk_handler = pb.fastapi_handler()

    async def dispatch(request: Request):
        # The SDK runs handlers on the event loop; a long one would stop everything, so they get a thread.
        body = await request.body()
        name = json.loads(body).get("function")
        if name not in ("slow", "exclusive"):
            return await sdk_handler(request)
        result = await run_in_threadpool(pb.handle, body, dict(request.headers))
        return JSONResponse({k: v for k, v in result.items() if k != "_status"}, status_code=result["_status"])

    async def test_command(request: Request):
        body = await request.body()
        answer = await run_in_threadpool(run_command, request.url.path, body)
        return Response(answer, media_type="application/json")

    app = Starlette(routes=[
        Route(PATH, dispatch, methods=["POST"]),
        Route("/test/{name}", test_command, methods=["POST"]),
    ])

    class Server(uvicorn.Server):
        async def startup(self, *args, **kwargs):
            await super().startup(*args, **kwargs)
            say_ready()

    Server(uvicorn.Config(app, host="127.0.0.1", port=int(PORT), log_level="error")).run()


def main_wsgi():
    pb.register()
    serve_wsgi(raw_wsgi)


{"flask": main_flask, "django": main_django, "asgi": main_asgi, "wsgi": main_wsgi}[FRAMEWORK]()
