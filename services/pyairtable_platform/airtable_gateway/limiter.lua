-- The windows that all gateway replicas share: the rules of limiter.py, atomic, by this server's clock.
-- KEYS[1] prefix of all keys. ARGV: operation, not_after, jitter, lease, presence, replicas, own name, and the
-- operation's own arguments. Times are microseconds. Returns {verdict, now, wait, present}.
--
-- <prefix>:born             when this store began to know things: before born + hold it cannot know what was sent
-- <prefix>:replicas         replica -> until when it counts as present
-- <prefix>:window:<name>    permit  -> latest moment at which its call can have arrived
-- <prefix>:queue:<name>     replica -> since when it asks; one place of the window belongs to each, in this order
-- <prefix>:promised:<name>  replica -> until when its place in the queue is kept
-- <prefix>:pause:<name>     exists while Airtable refuses calls

local SECOND, KEEP_PLACE, IDLE_MS = 1000000, 150000, 60000
local BULK_STANDS_BACK = 500000

local prefix, operation = KEYS[1], ARGV[1]
local not_after, jitter, lease = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local presence, expected_replicas, me = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

local function key(kind, name) return prefix .. ':' .. kind .. ':' .. name end
local function text(number) return string.format('%.0f', number) end

local function share(limit) return math.floor(limit / expected_replicas) end

local function count_present(now)
    redis.call('ZREMRANGEBYSCORE', prefix .. ':replicas', '-inf', text(now))
    return redis.call('ZCARD', prefix .. ':replicas')
end

-- A store that was restarted empty, or whose clock went back, has forgotten what was sent.
local function forget(now)
    redis.call('SET', prefix .. ':born', text(now))
    return now
end

local function born(now)
    local moment = tonumber(redis.call('GET', prefix .. ':born') or '')
    if not moment or moment > now then return forget(now) end
    return moment
end

-- Replicas that stand before me; those that did not come back when promised lose their place.
local function ahead_of_me(name, now, stand_back)
    local queue, promised = key('queue', name), key('promised', name)
    for _, gone in ipairs(redis.call('ZRANGEBYSCORE', promised, '-inf', text(now))) do
        redis.call('ZREM', queue, gone)
        redis.call('ZREM', promised, gone)
    end
    redis.call('ZADD', queue, 'NX', text(now + stand_back), me)
    return redis.call('ZRANK', queue, me)
end

-- As Window.wait in limiter.py.
local function wait_for_place(window, now, limit, ahead)
    if limit <= ahead then return SECOND end
    local expected = {}
    local scores = redis.call('ZRANGE', window, 0, -1, 'WITHSCORES')
    for i = 2, #scores, 2 do
        local latest = tonumber(scores[i])
        if latest > now + jitter then latest = math.max(now, latest - lease + jitter) end
        expected[#expected + 1] = latest
    end
    table.sort(expected)
    local leaves = expected[#expected + ahead - limit + 1]
    return leaves and math.max(1000, leaves + SECOND - now) or 1000
end

local function ask(now)
    local permit, stands_back = ARGV[8], ARGV[9] == '1' and BULK_STANDS_BACK or 0
    local present, knows_from = count_present(now), born(now) + SECOND + jitter + lease
    for i = 10, #ARGV, 2 do
        local left = redis.call('PTTL', key('pause', ARGV[i]))
        if left > 0 then return {'paused', text(now), left * 1000, present} end
    end
    if now < knows_from then return {'wait', text(now), knows_from - now, present} end

    local absent, wait = math.max(0, expected_replicas - present), 0
    for i = 10, #ARGV, 2 do
        local name, window = ARGV[i], key('window', ARGV[i])
        local limit = tonumber(ARGV[i + 1])
        limit = limit - absent * share(limit)
        redis.call('ZREMRANGEBYSCORE', window, '-inf', text(now - SECOND))
        local last = redis.call('ZRANGE', window, -1, -1, 'WITHSCORES')[2]
        if last and tonumber(last) > now + lease + SECOND then
            redis.call('DEL', window)
            forget(now)
            return {'wait', text(now), SECOND + jitter + lease, present}
        end
        local ahead = i == 10 and ahead_of_me(name, now, stands_back) or 0
        if limit - redis.call('ZCARD', window) <= ahead then
            wait = math.max(wait, wait_for_place(window, now, limit, ahead))
        end
    end

    local queue, promised = key('queue', ARGV[10]), key('promised', ARGV[10])
    if wait > 0 then
        redis.call('ZADD', promised, text(now + wait + KEEP_PLACE), me)
        redis.call('PEXPIRE', queue, IDLE_MS)
        redis.call('PEXPIRE', promised, IDLE_MS)
        return {'wait', text(now), wait, present}
    end
    redis.call('ZREM', queue, me)
    redis.call('ZREM', promised, me)
    for i = 10, #ARGV, 2 do
        redis.call('ZADD', key('window', ARGV[i]), text(now + lease), permit)
        redis.call('PEXPIRE', key('window', ARGV[i]), IDLE_MS)
    end
    return {'granted', text(now), 0, present}
end

local function beat(now)
    born(now)
    if ARGV[8] == '1' then redis.call('ZADD', prefix .. ':replicas', text(now + presence), me) end
    return {'ok', text(now), 0, count_present(now)}
end

local function lower(now)
    for i = 10, #ARGV do
        redis.call('ZADD', key('window', ARGV[i]), 'XX', 'LT', text(now + tonumber(ARGV[9])), ARGV[8])
    end
    return {'ok', text(now), 0, 0}
end

local function release(now)
    for i = 9, #ARGV do redis.call('ZREM', key('window', ARGV[i]), ARGV[8]) end
    return {'ok', text(now), 0, 0}
end

local function pause(now)
    local name, milliseconds = ARGV[8], tonumber(ARGV[9])
    if redis.call('PTTL', key('pause', name)) < milliseconds then
        redis.call('SET', key('pause', name), '1', 'PX', text(milliseconds))
    end
    return {'ok', text(now), 0, 0}
end

local operations = {ask = ask, beat = beat, lower = lower, release = release, pause = pause}
local time = redis.call('TIME')
local now = tonumber(time[1]) * SECOND + tonumber(time[2])
if not_after > 0 and now > not_after then return {'late', text(now), 0, 0} end
return operations[operation](now)
