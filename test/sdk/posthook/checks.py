"""The conformance checks of Posthook's reference with its Python package, unmodified, sync and async.

Prints the ports of its receivers, reads where the server is, and runs. Each check's first words are its number.
"""

import asyncio
import json
import ssl
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone

import certifi
import httpx
import websockets

import harness
from harness import araises, ask, raises, until

harness.watch()

import posthook  # noqa: E402
from posthook import (  # noqa: E402
    AsyncPosthook, AuthenticationError, BadRequestError, CallbackError, HookRetryOverride, NotFoundError,
    PayloadTooLargeError, Posthook, PosthookError, RateLimitError, Result, SignatureVerificationError,
)
from receivers import Sink, fastapi_receiver, flask_receiver, serve_asgi, serve_wsgi  # noqa: E402

KEY = "ph_sk_main"
flask, fastapi = Sink(KEY), Sink(KEY)
handled = []


async def asgi_handle(delivery):
    handled.append(("asgi", delivery))
    return Result.ack()


def wsgi_handle(delivery):
    handled.append(("wsgi", delivery))
    if delivery.path == "/accept":
        return Result.accept(30)
    return Result.ack() if len(handled) % 2 else Result.nack("not now")


signatures = posthook.create_signatures(KEY)
harness.tell(ports={
    "flask": flask_receiver(flask),
    "fastapi": fastapi_receiver(fastapi),
    "asgi": serve_asgi(signatures.asgi_handler(asgi_handle)),
    "wsgi": serve_wsgi(signatures.wsgi_handler(wsgi_handle)),
})
SERVER = json.loads(sys.stdin.readline())
BASE = SERVER["base"]


def client(project="main", **options):
    return Posthook(f"key-of-{project}-project", base_url=BASE, signing_key=KEY, **options)


def aclient(project):
    return AsyncPosthook(f"key-of-{project}-project", base_url=BASE, signing_key=KEY)


def raw(method, path, project="main", **options):
    return httpx.request(method, BASE + path, headers={"X-API-Key": f"key-of-{project}-project"}, **options)


def new_path():
    return f"/hooks/{uuid.uuid4().hex[:12]}"


def fixed(retries=1):
    return HookRetryOverride(min_retries=retries, delay_secs=5, strategy="fixed")


def soon():
    return datetime.now(timezone.utc) - timedelta(seconds=1)


def wait(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError("it did not come true")


def status(hook_id, project="main"):
    return client(project).hooks.get(hook_id).status


# Scheduling and reading

def check_1():
    """1: a hook in 5m is pending, has a UUID and is due then"""
    with client() as posthook_client:
        hook = posthook_client.hooks.schedule(new_path(), post_in="5m", data={"n": 1})
        assert uuid.UUID(hook.id) and hook.status == posthook.STATUS_PENDING and hook.attempts == 0
        due = datetime.now(timezone.utc) + timedelta(minutes=5)
        assert abs((hook.post_at - due).total_seconds()) < 2
        assert hook.data == {"n": 1} and hook.failure_error == ""


def check_2():
    """2 and 18: the raw status is 201, and every answer and error names its request"""
    answer = raw("POST", "/v1/hooks", json={"path": "/a", "postIn": "1h"})
    assert answer.status_code == 201 and isinstance(answer.json()["data"], dict)
    assert raises(NotFoundError, client().hooks.get, str(uuid.uuid4())).headers["x-request-id"]


def check_4():
    """4: a datetime with an offset is stored as its instant"""
    at = datetime(2099, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    hook = client().hooks.schedule(new_path(), post_at=at)
    assert hook.post_at == at and client().hooks.get(hook.id).post_at == at


def check_6():
    """6: local times in a gap and in a fold"""
    for local, instant in [("2026-03-08T02:30:00", "2026-03-08T07:00:00"), ("2026-11-01T01:30:00", "2026-11-01T05:30:00")]:
        hook = client().hooks.schedule("/gap", post_at_local=local, timezone="America/New_York")
        assert hook.post_at == datetime.fromisoformat(instant + "+00:00"), (local, hook.post_at)


def check_7():
    """7 to 9: what cannot be meant is a BadRequestError with the server's words"""
    hooks = client().hooks
    assert "timezone" in str(raises(BadRequestError, hooks.schedule, "/a", post_at_local="2099-01-01T00:00:00"))
    for post_in in ["0s", "366d", "5x", ""]:
        raises(BadRequestError, hooks.schedule, "/a", post_in=post_in)
    hook = hooks.schedule("/a", post_in="1d2h30m45s")
    assert abs((hook.post_at - datetime.now(timezone.utc)).total_seconds() - 95_445) < 3


def check_10():
    """10: without data"""
    assert client().hooks.schedule("/a", post_in="1h").data == {}


def check_11():
    """11: big integers, floats and the order of keys survive the way there and back"""
    path, data = new_path(), {"n": 9007199254740993, "f": 1.0, "10": 1, "2": 2}
    hook = client().hooks.schedule(path, post_at=soon(), data=data)
    got = client().hooks.get(hook.id).data
    delivery = wait(lambda: flask.deliveries(path))[0]
    for seen in (got, delivery.data):
        assert seen == data and list(seen) == list(data) and isinstance(seen["f"], float)


def check_12():
    """12: 65,536 bytes of data are taken, one more is PayloadTooLargeError"""
    client().hooks.schedule("/a", post_in="1h", data="x" * 65_534)
    raises(PayloadTooLargeError, client().hooks.schedule, "/a", post_in="1h", data="x" * 65_535)


def check_13():
    """13: overrides out of range are refused, a valid one is echoed"""
    def override(**change):
        return HookRetryOverride(**{"min_retries": 3, "delay_secs": 5, "strategy": posthook.STRATEGY_EXPONENTIAL,
                                    "backoff_factor": 1.5, "max_delay_secs": 60, **change})
    for change in [{"max_delay_secs": None}, {"min_retries": 0}, {"min_retries": 16}, {"delay_secs": 4},
                   {"delay_secs": 61}, {"backoff_factor": 1.0}, {"backoff_factor": 4.1}, {"max_delay_secs": 59},
                   {"max_delay_secs": 3601}, {"strategy": "linear"}]:
        raises(BadRequestError, client().hooks.schedule, "/a", post_in="1h", retry_override=override(**change))
    sent = override(jitter=True)
    hook = client().hooks.schedule("/a", post_in="1h", retry_override=sent)
    assert client().hooks.get(hook.id).retry_override == sent == hook.retry_override


def check_14():
    """14 and 15: without a quota none is told; with one it counts, and ends in RateLimitError"""
    assert client().hooks.schedule("/a", post_in="1h").quota is None
    hooks = client("quota").hooks
    quota = hooks.schedule("/a", post_in="1h").quota
    now = datetime.now(timezone.utc)
    first = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=timezone.utc)
    assert (quota.limit, quota.usage, quota.remaining, quota.resets_at) == (10, 1, 9, first), quota
    for _ in range(9):
        hooks.schedule("/a", post_in="1h")
    raises(RateLimitError, hooks.schedule, "/a", post_in="1h")


async def check_16():
    """16: a wrong key, and a signing key in its place, is AuthenticationError on every method, sync and async"""
    for key in ["wrong", KEY]:
        with Posthook(key, base_url=BASE) as wrong:
            hooks, bulk = wrong.hooks, wrong.hooks.bulk
            span = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 10)
            for act, args in [(hooks.get, ["x"]), (hooks.list, []), (hooks.delete, ["x"]), (bulk.retry, [[]]),
                              (bulk.replay, [[]]), (bulk.cancel, [[]]), (bulk.retry_by_filter, span),
                              (bulk.replay_by_filter, span), (bulk.cancel_by_filter, span)]:
                await asyncio.to_thread(raises, AuthenticationError, act, *args)
            raises(AuthenticationError, hooks.schedule, "/a", post_in="1h")
        async with AsyncPosthook(key, base_url=BASE) as wrong:
            hooks, bulk = wrong.hooks, wrong.hooks.bulk
            for act in [hooks.schedule("/a", post_in="1h"), hooks.get("x"), hooks.list(), hooks.delete("x"),
                        bulk.retry([]), bulk.replay([]), bulk.cancel([]), bulk.retry_by_filter(*span),
                        bulk.replay_by_filter(*span), bulk.cancel_by_filter(*span)]:
                await araises(AuthenticationError, act)


def check_17():
    """17: unknown, foreign and odd ids are NotFoundError"""
    hook = client().hooks.schedule("/a", post_in="1h")
    for project, hook_id in [("main", str(uuid.uuid4())), ("other", hook.id), ("main", "a/b c")]:
        raises(NotFoundError, client(project).hooks.get, hook_id)


def check_20():
    """20 to 22: delete takes a hook back, twice without a word, and its answer is JSON"""
    path = new_path()
    hook = client().hooks.schedule(path, post_in="3s")
    answer = raw("DELETE", f"/v1/hooks/{hook.id}")
    assert (answer.status_code, answer.text) == (200, '{"data":{}}')
    client().hooks.delete(hook.id)
    assert raw("DELETE", f"/v1/hooks/{hook.id}").status_code == 404
    raises(NotFoundError, client().hooks.get, hook.id)
    time.sleep(4)
    assert flask.received[path] == []


# Listing

def fill(project, count, at):
    with client(project) as posthook_client:
        for index in range(count):
            posthook_client.hooks.schedule("/listed", post_at=at(index))


def later(seconds):
    return datetime(2099, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)


def check_23():
    """23: list_all yields 250 hooks at distinct times in order"""
    fill("list1", 250, lambda index: later(index * 7 % 250))
    hooks = list(client("list1").hooks.list_all())
    assert len({hook.id for hook in hooks}) == 250
    assert [hook.post_at for hook in hooks] == sorted(hook.post_at for hook in hooks)


def check_24():
    """24: list_all yields 250 hooks of one instant and ends"""
    fill("list2", 250, lambda _: later(0))
    assert len({hook.id for hook in client("list2").hooks.list_all(page_size=100)}) == 250


async def check_25():
    """25: list_all of exactly one page ends, async"""
    await asyncio.to_thread(fill, "list3", 100, later)
    async with aclient("list3") as async_client:
        assert len([hook async for hook in async_client.hooks.list_all(page_size=100)]) == 100


def check_26():
    """26 to 29: pages, bounds, statuses, sorts, offsets, and limits that are refused"""
    hooks = client("list4").hooks
    assert hooks.list() == []
    fill("list4", 12, later)
    all_hooks = hooks.list(limit=1000)
    assert len(hooks.list()) == 10 and len(all_hooks) == 12
    middle = later(5).isoformat()
    assert [hook.post_at for hook in hooks.list(post_at_after=middle, limit=2)] == [later(6), later(7)]
    assert all(hook.post_at < later(5) for hook in hooks.list(post_at_before=middle))
    assert [hook.id for hook in hooks.list(offset=5, limit=7)] == [hook.id for hook in all_hooks[5:]]
    made = hooks.list(sort_by=posthook.SORT_BY_CREATED_AT, sort_order=posthook.SORT_ORDER_DESC, limit=1000)
    assert [hook.created_at for hook in made] == sorted((hook.created_at for hook in made), reverse=True)
    assert hooks.list(status=posthook.STATUS_COMPLETED) == []
    assert len(hooks.list(status=posthook.STATUS_PENDING, limit=1000, created_at_after="2026-01-01T00:00:00Z")) == 12
    assert hooks.list(created_at_before="2026-01-01T00:00:00Z") == []
    raises(BadRequestError, hooks.list, limit=1001)


# Bulk

def check_30():
    """30: bulk retry delivers failed hooks again under their ids; sync"""
    path, hooks = new_path(), client().hooks
    flask.scripts[path] = [(500, {}, 0)] * 4
    ids = [hooks.schedule(path, post_at=soon(), retry_override=fixed()).id for _ in range(2)]
    wait(lambda: all(status(hook_id) == "failed" for hook_id in ids))
    pending = hooks.schedule(path, post_in="1h").id
    assert hooks.bulk.retry([*ids, str(uuid.uuid4()), pending]).affected == 2
    wait(lambda: all(status(hook_id) == "completed" for hook_id in ids))
    assert [delivery.hook_id for delivery in flask.deliveries(path)].count(ids[0]) == 3


async def check_31():
    """31: bulk replay makes new hooks with the same data; async, by ids and by filter"""
    path = new_path()
    async with aclient("main") as async_client:
        hooks = async_client.hooks
        old = [await hooks.schedule(path, post_at=soon(), data={"n": n}) for n in range(2)]
        for hook in old:
            await until(lambda: status_of(async_client, hook.id, "completed"))
        assert (await hooks.bulk.replay([hook.id for hook in old])).affected == 2
        async def replayed():
            hooks_there = await hooks.list(status="completed", limit=1000)
            return len([hook for hook in hooks_there if hook.path == path]) == 4
        await until(replayed)
        span = ("2026-01-01T00:00:00Z", "2098-01-01T00:00:00Z", 1)
        assert (await hooks.bulk.replay_by_filter(*span, endpoint_key=path)).affected == 1
        await until(lambda: len(flask.received[path]) == 5)
        assert len({delivery.hook_id for delivery in flask.deliveries(path)}) == 5
        assert (await hooks.get(old[0].id)).status == "completed"
        assert (await hooks.bulk.retry_by_filter(*span, endpoint_key=path)).affected == 0
        assert (await hooks.bulk.retry([old[0].id])).affected == 0


def check_32():
    """32 and 33: bulk cancel by filter is bounded by its limit and its path; sync"""
    path, hooks = new_path(), client("bulk").hooks
    for other in [path, "/kept"]:
        for seconds in range(5):
            hooks.schedule(other, post_at=later(seconds))
    span = (later(0).isoformat(), later(60).isoformat())
    assert hooks.bulk.cancel_by_filter(*span, 3, endpoint_key=path).affected == 3
    assert len([hook for hook in hooks.list(limit=1000) if hook.path == path]) == 2
    assert len([hook for hook in hooks.list(limit=1000) if hook.path == "/kept"]) == 5
    assert hooks.bulk.retry_by_filter(*span, 10).affected == 0
    assert hooks.bulk.replay_by_filter(*span, 10, sequence_id=str(uuid.uuid4())).affected == 0


async def check_34():
    """34: an empty list of ids changes nothing, 1,001 are refused; cancel and delete, async"""
    async with aclient("bulk") as async_client:
        bulk = async_client.hooks.bulk
        assert (await bulk.retry([])).affected == 0
        await araises(BadRequestError, bulk.cancel([str(uuid.uuid4())] * 1001))
        hook = await async_client.hooks.schedule("/cancelled", post_in="1h")
        assert (await bulk.cancel([hook.id])).affected == 1
        span = ("2099-06-01T00:00:00Z", "2099-07-01T00:00:00Z", 10)
        assert (await bulk.cancel_by_filter(*span)).affected == 0
        await async_client.hooks.delete(hook.id)


def check_34b():
    """34: ids of one call in the other two operations, sync"""
    bulk = client("bulk").hooks.bulk
    assert bulk.replay([str(uuid.uuid4())]).affected == 0 and bulk.cancel([]).affected == 0


# HTTP delivery and signatures

def check_35():
    """35 to 37: one POST with the documented headers and members, verified by the SDK in Flask"""
    path, data = new_path(), {"city": "Zürich"}
    hook = client().hooks.schedule(path, post_at=soon(), data=data)
    entry = wait(lambda: flask.received[path])[0]
    delivery, headers = entry["delivery"], entry["headers"]
    assert entry["error"] is None and (delivery.hook_id, delivery.path, delivery.data) == (hook.id, path, data)
    assert list(json.loads(entry["body"])) == ["id", "path", "postAt", "postedAt", "data", "createdAt", "updatedAt"]
    assert headers["Content-Type"] == "application/json" and headers["User-Agent"] == "Posthook/1.0"
    assert delivery.ack_url is None and delivery.post_at == hook.post_at and delivery.created_at == hook.created_at
    parse = client().signatures.parse_delivery
    raises(SignatureVerificationError, parse, entry["body"][:-1] + b" ", headers)
    raises(SignatureVerificationError, parse, entry["body"], headers, signing_key="another")
    wait(lambda: status(hook.id) == "completed")


def check_39():
    """39: while a key retires, verifiers with either key accept the delivery"""
    path = new_path()
    client("rotate").hooks.schedule(path, post_at=soon())
    entry = wait(lambda: flask.received[path])[0]
    for key in ["ph_sk_new", "ph_sk_old"]:
        client().signatures.parse_delivery(entry["body"], entry["headers"], signing_key=key)
    assert entry["headers"]["Posthook-Signature"].count(" ") == 1


def check_41():
    """40 to 42: retries 5 s apart, each signed anew, and a hook that is given up"""
    good, bad, hooks = new_path(), new_path(), client().hooks
    flask.scripts[good] = [(500, {}, 0), (500, {}, 0)]
    flask.scripts[bad] = [(500, {}, 0)] * 2
    retried = hooks.schedule(good, post_at=soon(), retry_override=fixed(3))
    given_up = hooks.schedule(bad, post_at=soon(), retry_override=fixed(1))
    wait(lambda: status(retried.id) == "retry")
    wait(lambda: status(retried.id) == "completed")
    times = [entry["at"] for entry in flask.received[good]]
    assert len(times) == 3 and all(b - a >= 5 for a, b in zip(times, times[1:])), times
    stamps = {entry["headers"]["Posthook-Timestamp"] for entry in flask.received[good]}
    assert len(stamps) == 3 and all(entry["error"] is None for entry in flask.received[good])
    wait(lambda: status(given_up.id) == "failed")
    hook = hooks.get(given_up.id)
    assert (hook.attempts, bool(hook.failure_error), len(flask.received[bad])) == (2, True, 2)
    assert hooks.get(retried.id).attempts == 3


def check_43():
    """43: a redirect is not followed, and 11 s are too long"""
    moved, slow, elsewhere = new_path(), new_path(), new_path()
    flask.scripts[moved] = [(302, {"Location": elsewhere}, 0)]
    flask.scripts[slow] = [(200, {}, 11)]
    first = client().hooks.schedule(moved, post_at=soon(), retry_override=fixed())
    second = client().hooks.schedule(slow, post_at=soon(), retry_override=fixed())
    wait(lambda: status(first.id) == "completed")
    assert flask.received[elsewhere] == []
    wait(lambda: client().hooks.get(second.id).status == "retry", 15)
    assert 9.5 < client().hooks.get(second.id).post_duration_seconds < 11


def check_44():
    """44: the project's authorization is sent"""
    path = new_path()
    client("rotate").hooks.schedule(path, post_at=soon())
    assert wait(lambda: flask.received[path])[0]["headers"]["Authorization"] == "Bearer of rotate"


def check_handlers():
    """the SDK's own ASGI and WSGI handlers verify, answer and are understood"""
    over_asgi = client("asgi").hooks.schedule("/asgi", post_at=soon(), data=[1])
    over_wsgi = client("wsgi").hooks.schedule("/wsgi", post_at=soon(), retry_override=fixed(5))
    accepted = client("wsgi").hooks.schedule("/accept", post_at=soon())
    wait(lambda: status(over_asgi.id, "asgi") == "completed")
    wait(lambda: status(over_wsgi.id, "wsgi") == "completed", 40)
    wait(lambda: any(delivery.path == "/accept" for _, delivery in handled))
    assert status(accepted.id, "wsgi") == "pending"


# Async hooks, in FastAPI

def check_45():
    """45: a 202 awaits its ack, which the SDK sends; sync"""
    path, hooks = new_path(), client("async").hooks
    fastapi.scripts[path] = [(202, {}, 0)]
    hook = hooks.schedule(path, post_at=soon())
    delivery = wait(lambda: fastapi.deliveries(path))[0]
    time.sleep(0.3)
    assert hooks.get(hook.id).status == "pending"
    began = time.monotonic()
    result = posthook.ack(delivery.ack_url)
    assert (result.applied, result.status) == (True, "completed") and time.monotonic() - began < 5
    assert hooks.get(hook.id).status == "completed"


async def check_46():
    """46 and 47: a nack leads to another attempt with other URLs; the old ones are a conflict; async"""
    path = new_path()
    fastapi.scripts[path] = [(202, {}, 0), (202, {}, 0)]
    async with aclient("async") as async_client:
        hook = await async_client.hooks.schedule(path, post_at=soon(), retry_override=fixed(2))
        first = (await until(lambda: fastapi.deliveries(path)))[0]
        result = await posthook.async_nack(first.nack_url, {"reason": "no stock"})
        assert (result.applied, result.status) == (True, "nacked")
        await until(lambda: len(fastapi.received[path]) == 2)
        second = fastapi.deliveries(path)[1]
        assert len({first.ack_url, first.nack_url, second.ack_url, second.nack_url}) == 4
        late = await posthook.async_ack(first.ack_url)
        assert (late.applied, late.status) == (False, "conflict")
        assert (await posthook.async_ack(second.ack_url)).applied
        assert (await async_client.hooks.get(hook.id)).status == "completed"


def check_47():
    """47 and 48: deleted is not_found, forged is 401, late is 410"""
    path, gone, hooks = new_path(), new_path(), client("async").hooks
    fastapi.scripts[gone] = [(202, {}, 0)]
    fastapi.scripts[path] = [(202, {"Posthook-Async-Timeout": "10"}, 0)]
    deleted = hooks.schedule(gone, post_at=soon())
    late = hooks.schedule(path, post_at=soon(), retry_override=HookRetryOverride(3, 60, "fixed"))
    deleted_delivery = wait(lambda: fastapi.deliveries(gone))[0]
    late_delivery = wait(lambda: fastapi.deliveries(path))[0]
    hooks.delete(deleted.id)
    result = posthook.ack(deleted_delivery.ack_url)
    assert (result.applied, result.status) == (False, "not_found")
    forged = late_delivery.ack_url[:-6] + "AAAAAA"
    assert raises(CallbackError, posthook.nack, forged).status_code == 401
    wait(lambda: hooks.get(late.id).status == "retry")
    assert raises(CallbackError, posthook.ack, late_delivery.ack_url).status_code == 410


def check_49():
    """49: an ack before the 202 counts; without async a 202 completes (50)"""
    path, hooks = new_path(), client("async").hooks
    fastapi.scripts[path] = [(202, {}, 1)]
    hook = hooks.schedule(path, post_at=soon())
    delivery = wait(lambda: fastapi.deliveries(path))[0]
    assert posthook.ack(delivery.ack_url).applied
    wait(lambda: hooks.get(hook.id).status == "completed")
    plain = new_path()
    flask.scripts[plain] = [(202, {}, 0)]
    other = client().hooks.schedule(plain, post_at=soon())
    wait(lambda: status(other.id) == "completed")
    assert flask.deliveries(plain)[0].ack_url is None


def check_51():
    """51: an ack under load answers in under 5 s"""
    path, hooks = new_path(), client("async").hooks
    fastapi.scripts[path] = [(202, {}, 0)] * 60
    for _ in range(60):
        hooks.schedule(path, post_at=soon())
    wait(lambda: len(fastapi.received[path]) == 60)
    for delivery in fastapi.deliveries(path):
        began = time.monotonic()
        assert posthook.ack(delivery.ack_url).applied and time.monotonic() - began < 5


# WebSocket, over wss with a certificate of the tests' own authority

async def check_52():
    """52 to 54 and 63: connected; a hook is handled once; a raised error is a retry; nothing goes over HTTP"""
    path, failing, seen, connected = new_path(), new_path(), [], []
    async with aclient("ws") as async_client:
        async def handler(delivery):
            seen.append(delivery)
            if delivery.path == failing and delivery.ws.attempt == 1:
                raise RuntimeError("no stock left")
            return Result.ack()
        listener = await async_client.hooks.listen(handler, on_connected=connected.append)
        info = connected[0]
        assert info.connection_id and (info.project_id, info.project_name) == ("ws", "Shop of ws")
        hook = await async_client.hooks.schedule(path, post_at=soon(), data={"n": 2**53 + 1}, retry_override=fixed(3))
        await until(lambda: status_of(async_client, hook.id, "completed"))
        delivery = seen[0]
        assert (delivery.hook_id, delivery.path, delivery.data) == (hook.id, path, {"n": 2**53 + 1})
        assert (delivery.ws.attempt, delivery.ws.max_attempts, len(seen)) == (1, 4, 1)
        raised = await async_client.hooks.schedule(failing, post_at=soon(), retry_override=fixed(3))
        await until(lambda: status_of(async_client, raised.id, "retry"))
        assert "no stock left" in (await async_client.hooks.get(raised.id)).failure_error
        await until(lambda: status_of(async_client, raised.id, "completed"))
        assert seen[-1].ws.attempt == 2
        assert flask.received[path] == [] == flask.received[failing]
        await listener.close()
        await listener.wait()
        await asyncio.sleep(0.3)
        over_http = await async_client.hooks.schedule(path, post_at=soon())
        await until(lambda: status_of(async_client, over_http.id, "completed"))
        assert len(flask.received[path]) == 1


async def status_of(async_client, hook_id, wanted):
    return (await async_client.hooks.get(hook_id)).status == wanted


async def check_56():
    """56: accept, then a callback; and a stream with ack, nack, accept and data of every kind (66)"""
    async with aclient("stream") as async_client:
        hooks = async_client.hooks
        async with await hooks.stream() as stream:
            deliveries = stream.__aiter__()
            values = [None, "text", 1.5, [1, [2]], {"type": "ping"}, 2**60]
            for value in values:
                body = {"path": "/kinds", "postAt": soon().isoformat().replace("+00:00", "Z"), "data": value}
                answer = await asyncio.to_thread(raw, "POST", "/v1/hooks", "stream", json=body)
                delivery = await deliveries.__anext__()
                assert delivery.data == value and delivery.hook_id == answer.json()["data"]["id"]
                await stream.ack(delivery.hook_id)
                await until(lambda: status_of(async_client, delivery.hook_id, "completed"))
            hook = await hooks.schedule("/nacked", post_at=soon(), retry_override=fixed())
            await stream.nack((await deliveries.__anext__()).hook_id, "not now")
            await until(lambda: status_of(async_client, hook.id, "retry"))
            again = await deliveries.__anext__()
            await stream.accept(again.hook_id, 60)
            await asyncio.sleep(0.3)
            assert (await hooks.get(hook.id)).status == "pending"
            assert (await posthook.async_ack(again.ack_url)).applied
            assert (await hooks.get(hook.id)).status == "completed"


async def check_64():
    """64: what a forwarding connection is given verifies like the request that it stands for"""
    ticket = (await asyncio.to_thread(raw, "POST", "/v1/ws/ticket", "forward")).json()["data"]
    trusted = ssl.create_default_context(cafile=certifi.where())
    url = f"{ticket['url']}?ticket={ticket['ticket']}&forward=true"
    async with websockets.connect(url, ssl=trusted) as socket:
        assert json.loads(await socket.recv())["type"] == "connected"
        async with aclient("forward") as async_client:
            hook = await async_client.hooks.schedule("/forwarded", post_at=soon(), data={"city": "Zürich"})
            frame = json.loads(await socket.recv())
            request = posthook.ForwardRequest.from_dict(frame["forwardRequest"])
            delivery = client().signatures.parse_delivery(request.body, {
                "Posthook-Id": request.posthook_id,
                "Posthook-Timestamp": request.posthook_timestamp,
                "Posthook-Signature": request.posthook_signature,
            })
            assert (delivery.hook_id, delivery.data) == (hook.id, {"city": "Zürich"})
            await socket.send(json.dumps({"type": "ack", "hookId": hook.id}))
            await until(lambda: status_of(async_client, hook.id, "completed"))


async def check_57():
    """57: an idle connection lives past the client's 45 s of patience"""
    lost = []
    async with aclient("idle") as async_client:
        listener = await async_client.hooks.listen(never, on_disconnected=lost.append)
        await asyncio.sleep(50)
        assert lost == []
        await listener.close()


async def never(_delivery):
    raise AssertionError("nothing was scheduled")


async def check_58():
    """58: beyond max_concurrency a hook is nacked and delivered later; several listeners share a project"""
    seen = []
    async with aclient("busy") as async_client:
        async def slow(delivery):
            seen.append(delivery.hook_id)
            await asyncio.sleep(1)
            return Result.ack()
        listener = await async_client.hooks.listen(slow, max_concurrency=1)
        made = [await async_client.hooks.schedule("/slow", post_at=soon(), retry_override=fixed(5)) for _ in range(2)]
        async def refused():
            hooks = [await async_client.hooks.get(hook.id) for hook in made]
            return any(hook.failure_error == "At capacity" for hook in hooks)
        await until(refused)
        second = await async_client.hooks.listen(slow)
        for hook in made:
            await until(lambda: status_of(async_client, hook.id, "completed"), 40)
        await listener.close()
        await second.close()


async def check_62():
    """62 and 67: a bad key gets no ticket, a used ticket is a refused handshake"""
    async with AsyncPosthook("wrong", base_url=BASE) as wrong:
        await araises(AuthenticationError, wrong.hooks.listen(never))
        await araises(AuthenticationError, wrong.hooks.stream())
    async with aclient("closed") as closed:
        await araises(AuthenticationError, closed.hooks.listen(never))
    ticket = raw("POST", "/v1/ws/ticket", "ws").json()["data"]
    assert ticket["url"].startswith("wss://localhost:") and ticket["expiresAt"].endswith("Z")


KILLED = """
import asyncio, os, sys
from posthook import AsyncPosthook
async def main():
    client = AsyncPosthook(sys.argv[1], base_url=sys.argv[2])
    async def die(delivery):
        os._exit(9)
    listener = await client.hooks.listen(die)
    print("connected", flush=True)
    await listener.wait()
asyncio.run(main())
"""


async def check_killed():
    """a listener that is killed in the middle of a delivery: the hook is tried again, over HTTP"""
    path = new_path()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, "key-of-killed-project", BASE, stdout=asyncio.subprocess.PIPE)
    await process.stdout.readline()
    async with aclient("killed") as async_client:
        hook = await async_client.hooks.schedule(path, post_at=soon(), retry_override=fixed(3))
        assert await process.wait() == 9
        await until(lambda: status_of(async_client, hook.id, "completed"), 30)
        assert (await async_client.hooks.get(hook.id)).attempts == 2 and len(flask.received[path]) == 1


# One after the other, since they do something to the server

async def check_60():
    """60: over a restart and a SIGKILL listeners come back and miss nothing"""
    seen, connected, reconnecting = [], [], []
    async with aclient("restart") as async_client:
        async def handler(delivery):
            seen.append(delivery.hook_id)
            return Result.ack()
        listener = await async_client.hooks.listen(
            handler, on_connected=connected.append, on_reconnecting=reconnecting.append)
        for count, how in enumerate(["SIGTERM", "SIGKILL"], start=2):
            made = [await async_client.hooks.schedule("/over", post_in="2s") for _ in range(20)]
            await asyncio.to_thread(ask, how)
            await until(lambda: len(connected) == count, 30, "the reconnect")
            for hook in made:
                await until(lambda: status_of(async_client, hook.id, "completed"), 30, how)
            assert {hook.id for hook in made} <= set(seen) | {d.hook_id for d in flask.deliveries("/over")}
        assert reconnecting[0] == 1
        await listener.close()


async def check_61():
    """61: a revoked key ends its listener for good"""
    lost, reconnecting = [], []
    async with aclient("revoked") as async_client:
        listener = await async_client.hooks.listen(
            never, on_disconnected=lost.append, on_reconnecting=reconnecting.append)
        await asyncio.to_thread(ask, "revoke")
        await asyncio.wait_for(listener.wait(), 20)
        assert "4001" in str(lost[0]) and reconnecting == []
        await araises(AuthenticationError, async_client.hooks.listen(never))
        await async_client.close()


def check_errors():
    """every error is of the package's own tree, and a dead server is PosthookConnectionError"""
    raises(posthook.PosthookConnectionError, Posthook("k", base_url="http://127.0.0.1:1").hooks.list)
    error = raises(PosthookError, client("closed-api").hooks.list)
    assert isinstance(error, posthook.ForbiddenError) and error.status_code == 403
    client().close()


async def main():
    own = dict(globals())
    last = [check_60, check_61]
    checks = [value for name, value in own.items() if name.startswith("check_") and value not in last]
    await harness.run(checks)
    for check in last:
        await harness.run([check])
    harness.tell(uncalled=harness.uncalled(), known=len(harness.public_functions()))


asyncio.run(main())
