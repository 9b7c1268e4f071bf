"""Calls every public method of the installed HookBridge client against a running server, with real receivers.

The client is the official package, unmodified; only its base URLs differ. Every call goes through `Caller`,
which notes the method's name: what the class offers and was not called is printed as missing, and fails.

Usage: scenario.py <base url> <api key> <proxy url> sync|async
"""

import asyncio
import hashlib
import hmac
import inspect
import json
import sys
import threading
import time
import urllib.request
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import hookbridge

BASE_URL, API_KEY, PROXY_URL, MODE = sys.argv[1:5]
PATIENCE_S = 15


class Receiver(ThreadingHTTPServer):
    """Answers by path: /<name>/<status>, or /<name>/<status>x<count> for that status so often, then 200."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name, answer="200"):
        return f"http://127.0.0.1:{self.server_port}/{name}/{answer}"

    def got(self, name):
        return [request for request in self.requests if request["path"].startswith(f"/{name}/")]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        path = self.path
        seen = sum(1 for request in self.server.requests if request["path"] == path)
        self.server.requests.append({"path": path, "headers": self.headers, "body": body})
        status, _, count = path.rsplit("/", 1)[1].partition("x")
        self.send_response(int(status) if not count or seen < int(count) else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


class Caller:
    """Calls client methods by name, awaiting what is awaitable, and notes which were called."""

    def __init__(self, client):
        self.client = client
        self.called = set()

    def has(self, name):
        return hasattr(self.client, name)

    async def __call__(self, name, /, *args, **kwargs):
        self.called.add(name)
        result = getattr(self.client, name)(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    async def fails(self, kind, name, /, *args, **kwargs):
        try:
            await self(name, *args, **kwargs)
        except kind as error:
            return error
        raise AssertionError(f"{name} raised no {kind.__name__}")

    def public(self):
        members = inspect.getmembers(type(self.client), callable)
        return sorted(name for name, _ in members if not name.startswith("_"))


async def until(check, what):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = await check()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"it never happened: {what}")


def verify(secrets, request):
    timestamp = request["headers"]["X-Webhook-Timestamp"]
    signed = timestamp.encode() + b"." + request["body"]
    expected = [
        "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets
    ]
    assert request["headers"]["X-Webhook-Signature"] == ",".join(expected), "the signature does not verify"
    assert abs(time.time() - int(timestamp)) < 10


def post(url, body, headers=None):
    request = urllib.request.Request(url, data=body, headers=headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


async def status_of(call, message_id):
    return (await call("get_message", message_id)).status


async def reaches(call, message_id, status):
    async def check():
        return await status_of(call, message_id) == status

    await until(check, f"{message_id} becomes {status}")


async def endpoints_and_keys(call, receiver):
    name = f"ep-{MODE}"
    made = await call(
        "create_endpoint", receiver.url(name), description="d", rate_limit_rps=50, burst=60,
        headers={"X-Own": "endpoint"},
    )
    assert made.id.startswith("ep_") and made.signing_secret.startswith("whsec_")
    error = await call.fails(hookbridge.HookBridgeError, "create_endpoint", receiver.url(name))
    assert (error.status_code, error.code) == (409, "DUPLICATE_URL")
    read = await call("get_endpoint", made.id)
    assert (read.url, read.paused, read.rate_limit_rps, read.burst) == (made.url, False, 50, 60)
    await call("update_endpoint", made.id, description="new")
    assert (await call("get_endpoint", made.id)).description == "new"
    listed = await call("list_endpoints", limit=1)
    assert len(listed.endpoints) == 1
    assert (await call("pause_endpoint", made.id)).paused is True
    held = await call("send", made.id, {"held": True})
    assert held.status == "queued" and not receiver.got(name)
    resumed = await call("resume_endpoint", made.id)
    assert (resumed.paused, resumed.messages_requeued) == (False, 1)
    await reaches(call, held.message_id, "succeeded")

    sent = await call("send", made.id, {"b": 1, "a": [1.5, "ü"]}, headers={"X-Own": "message"})
    await reaches(call, sent.message_id, "succeeded")
    request = receiver.got(name)[-1]
    verify([made.signing_secret], request)
    assert request["headers"]["X-Webhook-Id"] == sent.message_id
    assert request["headers"]["X-Own"] == "message"
    assert json.loads(request["body"]) == {"b": 1, "a": [1.5, "ü"]}

    rotated = await call("rotate_endpoint_secret", made.id)
    assert rotated.signing_secret.startswith("whsec_")
    keys = await call("list_endpoint_signing_keys", made.id)
    assert [key.id for key in keys][-1] == rotated.id and len(keys) == 2
    both = await call("send", made.id, {"n": 2})
    await reaches(call, both.message_id, "succeeded")
    verify([made.signing_secret, rotated.signing_secret], receiver.got(name)[-1])
    await call("delete_endpoint_signing_key", made.id, keys[0].id)
    again = await call("create_endpoint_signing_key", made.id)
    error = await call.fails(hookbridge.HookBridgeError, "create_endpoint_signing_key", made.id)
    assert error.status_code == 409 and again.signing_secret != rotated.signing_secret
    return made


async def messages(call, receiver, endpoint):
    key = f"key-{MODE}"
    first = await call("send", endpoint.id, {"a": 1, "b": 2}, idempotency_key=key)
    same = await call("send", endpoint.id, {"b": 2, "a": 1}, idempotency_key=key)
    assert first.message_id == same.message_id
    await call.fails(hookbridge.IdempotencyError, "send", endpoint.id, {"a": 2}, idempotency_key=key)
    await call.fails(hookbridge.NotFoundError, "send", "ep_nonexistent_12345", {})
    await call.fails(
        hookbridge.NotFoundError, "get_message", "01935abc-def0-7123-4567-890abcdef012"
    )
    message = await call("get_message", first.message_id)
    assert message.idempotency_key == key and message.endpoint_id == endpoint.id
    assert message.size_bytes > 0 and len(message.payload_sha256) == 64

    slow = await call("create_endpoint", receiver.url(f"slow-{MODE}", "503x1"))
    sent = await call("send", slow.id, {})
    await reaches(call, sent.message_id, "pending_retry")
    waiting = await call("get_message", sent.message_id)
    assert waiting.next_attempt_at is not None and waiting.last_error == "HTTP 503"
    await call("retry_now", sent.message_id)
    await reaches(call, sent.message_id, "succeeded")
    if call.has("get_message_attempts"):
        attempts = (await call("get_message_attempts", sent.message_id)).attempts
        assert [one.response_status for one in attempts] == [503, 200]
        assert attempts[0].retry_type == "slow"

    down = await call("create_endpoint", receiver.url(f"down-{MODE}", "503"))
    stuck = await call("send", down.id, {})
    await reaches(call, stuck.message_id, "pending_retry")
    await call("cancel_retry", stuck.message_id)
    assert await status_of(call, stuck.message_id) == "failed_permanent"

    gone = await call("create_endpoint", receiver.url(f"gone-{MODE}", "404x3"))
    dead = [(await call("send", gone.id, {"n": n})).message_id for n in range(3)]
    for message_id in dead:
        await reaches(call, message_id, "failed_permanent")
    letters = await call("get_dlq_messages", limit=100)
    assert set(dead) <= {one.message_id for one in letters.messages}
    await call("replay_from_dlq", dead[0])
    await reaches(call, dead[0], "succeeded")
    batch = await call("replay_batch_messages", [dead[1], "01935abc-def0-7123-4567-890abcdef012"])
    assert (batch.replayed, batch.failed) == (1, 1) and batch.results[1].error
    every = await call("replay_all_messages", status="failed_permanent", endpoint_id=gone.id, limit=50)
    assert every.replayed == 1 and every.replayed_message_ids == [dead[2]]
    for message_id in dead:
        await reaches(call, message_id, "succeeded")
    # The file allows three replays of one message.
    for _ in range(2):
        await call("replay", dead[0])
        await reaches(call, dead[0], "succeeded")
    await call.fails(hookbridge.ReplayLimitError, "replay", dead[0])
    if call.has("delete_message"):
        deleted = await call("delete_message", dead[0])
        assert deleted.already_deleted is False
        assert (await call("get_message", dead[0])).deleted_at == deleted.deleted_at
        some = await call("delete_messages_batch", [dead[0], dead[1]])
        assert (some.deleted_count, some.already_deleted_count) == (1, 1)
        rest = await call("delete_messages_all", status="succeeded", endpoint_id=gone.id)
        assert rest.deleted_message_ids == [dead[2]] and rest.error is None
    await call("delete_endpoint", gone.id)
    await call.fails(hookbridge.NotFoundError, "get_endpoint", gone.id)


async def observation(call):
    page = await call("get_logs", limit=2, start_time=datetime(2025, 1, 1))
    assert len(page.messages) == 2 and page.has_more
    following = await call("get_logs", limit=2, cursor=page.next_cursor)
    assert {one.message_id for one in page.messages}.isdisjoint(
        one.message_id for one in following.messages
    )
    assert page.messages[0].endpoint.startswith("http://")
    for window in ("1h", "24h", "7d", "30d"):
        metrics = await call("get_metrics", window)
        assert metrics.window == window and metrics.total_messages > 0
        assert isinstance(metrics.avg_latency_ms, int) and 0 <= metrics.success_rate <= 1
    series = await call("get_timeseries_metrics", "24h")
    assert len(series.buckets) == 96
    assert sum(bucket.total for bucket in series.buckets) == (await call("get_metrics", "24h")).total_messages


async def keys_and_account(call):
    made = await call("create_api_key", "test", label=f"sdk-{MODE}")
    assert "_test_" in made.key and made.prefix == made.key[:11]
    other = type(call.client)(made.key, base_url=BASE_URL, send_url=BASE_URL)
    listed = other.list_api_keys()
    listed = await listed if inspect.isawaitable(listed) else listed
    assert made.key_id in {key.key_id for key in listed}
    assert any(key.label is None for key in listed), "the declared key has no label"
    await call("list_api_keys")
    await call("delete_api_key", made.key_id)
    refused = Caller(other)
    await refused.fails(hookbridge.AuthenticationError, "list_api_keys")
    await refused("close")
    await call.fails(hookbridge.NotFoundError, "delete_api_key", "key_nonexistent_12345")
    subscription = await call("get_subscription")
    assert subscription.plan == "self-hosted" and subscription.usage.period_end > subscription.usage.period_start
    usage = await call("get_usage_history", limit=5)
    assert (usage.rows, usage.limit, usage.has_more) == ([], 5, False)
    assert (await call("get_invoices")).invoices == []
    assert await call("handle_stripe_webhook", {}) is False
    if call.has("list_projects"):
        name = f"stage-{MODE}"
        project = await call("create_project", name)
        assert name in {one.name for one in await call("list_projects")}
        assert (await call("get_project", project.id)).name == name
        await call("update_project", project.id, rate_limit_default=5)
        await call("delete_project", project.id)
    for refusing in ("create_checkout", "create_portal"):
        if call.has(refusing):
            arguments = {"plan": "pro", "interval": "month"} if refusing == "create_checkout" else {}
            error = await call.fails(hookbridge.HookBridgeError, refusing, **arguments)
            assert error.status_code == 403
    if call.has("lookup_actors"):
        mine = (await call("list_api_keys"))[0].key_id
        assert mine in (await call("lookup_actors", api_key_ids=[mine])).api_keys


async def inbound(call, receiver):
    name = f"in-{MODE}"
    secret = "provider-secret"
    made = await call(
        "create_inbound_endpoint", receiver.url(name, "404x1"), name="In", verify_hmac=True,
        hmac_header_name="X-Sig", hmac_secret=secret, idempotency_header_names=["X-Key"],
        ingest_response_code=200, signing_enabled=True,
    )
    assert made.ingest_url.endswith(f"/{made.id}/{made.secret_token}")
    body = b'{ "n":1.0 }'
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    status, answer = post(made.ingest_url, body, {"X-Sig": signature, "X-Key": "k"})
    assert status == 200
    message_id = answer["data"]["message_id"]
    assert post(made.ingest_url, body, {"X-Sig": signature, "X-Key": "k"})[1]["data"]["message_id"] == message_id
    assert post(made.ingest_url, body, {"X-Sig": "0" * 64})[0] == 401

    async def failed():
        logs = await call("get_inbound_logs", inbound_endpoint_id=made.id, limit=5)
        return logs.entries and logs.entries[0].status == "failed_permanent"

    await until(failed, "the first forward is refused")
    replayed = await call("replay_inbound_message", message_id)
    assert (replayed.message_id, replayed.status) == (message_id, "queued")

    async def arrived():
        logs = await call("get_inbound_logs", inbound_endpoint_id=made.id, limit=5)
        return logs.entries[0].status == "succeeded"

    await until(arrived, "the replay arrives")
    assert receiver.got(name)[-1]["body"] == body
    assert receiver.got(name)[-1]["headers"]["X-Webhook-Signature"].startswith("sha256=")
    if hasattr(made, "signing_secret"):  # Version 1.4 does not read it.
        verify([made.signing_secret], receiver.got(name)[-1])

    async def rejected():
        return (await call("list_inbound_rejections", inbound_endpoint_id=made.id)).entries

    rejections = await until(rejected, "the refusal is listed")
    assert rejections[0].reason_code == "hmac_failed"
    read = await call("get_inbound_endpoint", made.id)
    assert read.verify_hmac and read.signing_enabled and read.ingest_response_code == 200
    assert (await call("update_inbound_endpoint", made.id, name="New")).updated
    assert "New" in {one.name for one in (await call("list_inbound_endpoints", limit=50)).endpoints}
    assert (await call("pause_inbound_endpoint", made.id)).paused
    assert post(made.ingest_url, body, {"X-Sig": signature})[0] == 503
    assert not (await call("resume_inbound_endpoint", made.id)).paused
    metrics = await call("get_inbound_metrics", "1h", inbound_endpoint_id=made.id)
    assert metrics.total_messages == 1 and metrics.succeeded == 1 and metrics.avg_delivery_time_ms >= 0
    series = await call("get_inbound_timeseries_metrics", "1h", inbound_endpoint_id=made.id)
    assert len(series.buckets) == 60
    none = await call("replay_all_inbound_messages", status="failed_permanent", inbound_endpoint_id=made.id)
    assert none.replayed == 0
    assert (await call("replay_batch_inbound_messages", [message_id])).replayed == 1
    if call.has("get_inbound_message"):
        await newer_inbound(call, made, message_id)
    assert (await call("delete_inbound_endpoint", made.id)).deleted
    assert post(made.ingest_url, body, {"X-Sig": signature})[0] == 410


async def newer_inbound(call, made, message_id):
    async def settled():
        return (await call("get_inbound_message", message_id)).status == "succeeded"

    await until(settled, "the batch replay arrives")
    message = await call("get_inbound_message", message_id)
    assert (message.inbound_endpoint_id, message.replay_count) == (made.id, 2)
    assert message.idempotency_key == "k" and message.size_bytes == 11
    assert len((await call("get_inbound_message_attempts", message_id)).attempts) == 3
    added = await call("create_inbound_signing_key", made.id)
    assert [key.id for key in await call("list_inbound_signing_keys", made.id)][-1] == added.id
    await call("delete_inbound_signing_key", made.id, added.id)
    assert (await call("delete_inbound_message", message_id)).already_deleted is False
    some = await call("delete_inbound_messages_batch", [message_id])
    assert some.already_deleted_count == 1
    assert (await call("delete_inbound_messages_all", inbound_endpoint_id=made.id)).deleted == 0

    cli = await call("create_inbound_endpoint", mode="cli", name="CLI")
    status, answer = post(cli.ingest_url, b'{"n":1}', {"content-type": "application/json"})
    assert status == 202
    heard = await call("listen_inbound_endpoint", cli.id)
    assert [(one.message_id, one.body) for one in heard.messages] == [
        (answer["data"]["message_id"], {"n": 1})
    ]
    assert (await call("listen_inbound_endpoint", cli.id, after=heard.next_cursor)).messages == []


async def pull(call):
    made = await call(
        "create_pull_endpoint", name="Pull", retention_days=3, event_type_source="body",
        event_type_path="type",
    )
    ids = []
    for n in range(4):
        body = json.dumps({"type": "a" if n % 2 else "b", "n": n}).encode()
        ids.append(post(made.ingest_url, body)[1]["data"]["message_id"])
    stored = await call("list_pull_events", made.id)
    assert [event.id for event in stored.events] == ids and stored.events[1].event_type == "a"
    preview = await call("get_pull_event", made.id, ids[0], preview=True)
    assert preview.status == "stored" and preview.payload == {"type": "b", "n": 0}
    assert (await call("get_pull_event", made.id, ids[0])).status == "fetched"
    assert (await call("ack_pull_events", made.id, ids[:1])).acknowledged == 1
    assert (await call("ack_pull_events", made.id, ids[:1])).acknowledged == 0
    logs = await call("get_pull_logs", pull_endpoint_id=made.id)
    assert len(logs.entries) == 4 and logs.entries[-1].timing.total_lifecycle_ms is not None
    assert (await call("delete_pull_event", made.id, ids[1])).already_deleted is False
    some = await call("delete_pull_events_batch", made.id, ids[1:3])
    assert (some.deleted_count, some.already_deleted_count) == (1, 1)
    rest = await call("delete_pull_events_all", made.id, event_type="a")
    assert rest.deleted_event_ids == ids[3:]
    metrics = await call("get_pull_metrics", "1h", pull_endpoint_id=made.id)
    assert (metrics.total_messages, metrics.succeeded) == (4, 1)
    series = await call("get_pull_timeseries_metrics", "1h", pull_endpoint_id=made.id)
    assert sum(bucket.stored for bucket in series.buckets) == 4
    assert (await call("pause_pull_endpoint", made.id)).paused
    assert not (await call("resume_pull_endpoint", made.id)).paused
    assert (await call("update_pull_endpoint", made.id, description="d")).description == "d"
    read = await call("get_pull_endpoint", made.id)
    assert read.counts.delivered == 1 and made.secret_token not in read.ingest_url
    assert made.id in {one.id for one in (await call("list_pull_endpoints")).endpoints}
    assert (await call("delete_pull_endpoint", made.id)).deleted


async def exports(call):
    now = datetime.utcnow()
    made = await call("create_export", start_time=now - timedelta(days=1), end_time=now + timedelta(days=1))

    async def completed():
        return (await call("get_export", made.id)).status == "completed"

    await until(completed, "the export is written")
    url = await call("download_export", made.id)
    with urllib.request.urlopen(url) as answer:
        lines = answer.read().decode().splitlines()
    done = await call("get_export", made.id)
    assert lines[0].startswith("message_id,") and len(lines) == done.row_count + 1 > 5
    assert made.id in {one.id for one in await call("list_exports")}
    if call.has("delete_export"):
        await call("delete_export", made.id)
        await call.fails(hookbridge.NotFoundError, "get_export", made.id)


async def failures(call):
    """Check 1, and 8 and 9 through a proxy that fails as told."""
    kind = type(call.client)
    invalid = Caller(kind("hb_test_invalid_key_12345", base_url=BASE_URL, send_url=BASE_URL))
    error = await invalid.fails(hookbridge.AuthenticationError, "get_logs")
    assert error.request_id
    await invalid("close")
    flaky = Caller(kind(API_KEY, base_url=f"{PROXY_URL}/fail-once-{MODE}/", send_url=BASE_URL))
    assert len(await flaky("list_api_keys")) > 0
    await flaky("close")
    limited = Caller(kind(API_KEY, base_url=f"{PROXY_URL}/limited", send_url=BASE_URL))
    error = await limited.fails(hookbridge.RateLimitError, "list_api_keys")
    assert error.retry_after == 7
    await limited("close")


async def main():
    receiver = Receiver()
    kind = hookbridge.HookBridge if MODE == "sync" else hookbridge.AsyncHookBridge
    call = Caller(kind(API_KEY, base_url=BASE_URL, send_url=BASE_URL))
    endpoint = await endpoints_and_keys(call, receiver)
    await messages(call, receiver, endpoint)
    await observation(call)
    await keys_and_account(call)
    await inbound(call, receiver)
    if call.has("create_pull_endpoint"):
        await pull(call)
    await exports(call)
    await failures(call)
    await call("close")
    print(json.dumps({"called": sorted(call.called), "public": call.public()}))


asyncio.run(main())
