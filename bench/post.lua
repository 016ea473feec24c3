-- SPDX-License-Identifier: Apache-2.0
-- wrk's requests and its result. Every request has a name that no other has, in this run or another, because a receiver
-- answers a repeated name from memory and stores nothing. The body is the same each time: an incompressible one with the
-- head of a gzip member. BENCH_* come from rig/client.py.
local size = tonumber(os.getenv("BENCH_SIZE"))
local run = os.getenv("BENCH_RUN")
local token = os.getenv("BENCH_TOKEN")
local tenant, dataset = "acme", "fw"
local NOISE_MAX = 65536

local function noise(length)
    local bytes = {}
    for i = 1, math.min(length, NOISE_MAX) do
        bytes[i] = string.char(math.random(0, 255))
    end
    local piece = table.concat(bytes)
    if length <= NOISE_MAX then
        return piece
    end
    return (piece:rep(math.ceil(length / NOISE_MAX))):sub(1, length)
end

local threads = 0
function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

local headers = {["Content-Encoding"] = "gzip"}
local body, prefix, path
function init(arguments)
    math.randomseed(4711)
    local head = "\31\139\8\0\0\0\0\0\0\3"
    body = head .. noise(size - #head)
    prefix = table.concat({tenant, dataset, run .. "-" .. number}, "--") .. "-"
    path = wrk.path
    if token ~= "" then
        headers["Authorization"] = "Bearer " .. token
    end
end

local count = 0
function request()
    count = count + 1
    headers["X-Proxy-Filename"] = prefix .. count .. "--bench.gz"
    return wrk.format("POST", path, headers, body)
end

-- One line that the caller looks for among what wrk prints. Times are microseconds.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        'BENCH {"requests": %d, "duration_us": %d, "refused": %d, "connect": %d, "read": %d, "write": %d, ' ..
        '"timeout": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d}\n',
        summary.requests, summary.duration, errors.status, errors.connect, errors.read, errors.write,
        errors.timeout, latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
