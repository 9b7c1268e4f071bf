-- What wrk sends: one body with its signature, and a new Idempotency-Key each time. The body is fixed, so its
-- HMAC is too and comes in from outside. Arguments: signature, key prefix, file with the body.
local head, tail, count, prefix

function setup(thread)
  thread_count = (thread_count or 0) + 1
  thread:set("number", thread_count)
end

function init(args)
  local file = assert(io.open(args[3], "rb"))
  local body = file:read("*a")
  file:close()
  -- Ten digits from the start, so that later keys sort after earlier ones, as those of most senders do.
  prefix, count = args[2] .. "-" .. number .. "-", 1000000000
  head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port ..
    "\r\nContent-Type: application/json\r\nX-Signature: " .. args[1] ..
    "\r\nContent-Length: " .. #body .. "\r\nIdempotency-Key: "
  tail = "\r\n\r\n" .. body
end

function request()
  count = count + 1
  return head .. prefix .. count .. tail
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\nREPORT {"requests":%d,"refused":%d,"broken":%d,"durationMs":%.3f,"p50Ms":%.3f,"p99Ms":%.3f,"maxMs":%.3f}\n',
    summary.requests, e.status, e.connect + e.read + e.write + e.timeout, summary.duration / 1000,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
