-- The windows that all gateway replicas share: the rules of windows.py, atomic, by this server's clock.
-- KEYS[1] prefix of all keys. ARGV: operation, not_after, jitter, lease, presence, replicas, own name, and the
-- operation's own arguments. Times are microseconds. Returns {verdict, now, wait, present}.
--
-- <prefix>:born             when this store began to know things: before born + hold it cannot know what was sent
-- <prefix>:replicas         replica -> until when it counts as present
-- <prefix>:window:<name>    permit  -> latest moment at which its call can have arrived
-- <prefix>:queue:<name>     replica -> since when it asks; one place of the window belongs to each, in this order
-- <prefix>:promised:<name>  replica -> a moment after it shall ask again; until then its place is kept
-- <prefix>:last:<name>      when a permit was granted last
-- <prefix>:crowded:<name>   when somebody had to wait last
-- <prefix>:pause:<name>     exists while Airtable refuses calls

local SECOND, KEEP_PLACE, IDLE_MS = 1000000, 150000, 60000
local BULK_STANDS_BACK, GAP = 500000, 900000
-- A permit is granted a little before its time, so that the way from here to the caller costs nothing of it.
local GRANT_AHEAD, SHORTEST_WAIT = 40000, 5000

local prefix, operation = KEYS[1], ARGV[1]
local not_after, jitter, lease = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local presence, expected_replicas, me = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

local function key(kind, name) return prefix .. ':' .. kind .. ':' .. name end
local function text(number) return string.format('%.0f', number) end

local function share(limit) return math.floor(limit / expected_replicas) end

local function count_present(now)
    redis.call('ZREMRANGEBYSCORE', prefix .. ':replicas', '-inf', text(now))
    redis.call('ZREMRANGEBYSCORE', prefix .. ':replicas', text(now + presence + SECOND), '+inf')  -- the clock went back
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

-- How many replicas stand before me, and how many of them should be here by now. Who does not come back when promised
-- loses its place.
local function line_up(name, now, stand_back)
    local queue, promised = key('queue', name), key('promised', name)
    for _, gone in ipairs(redis.call('ZRANGEBYSCORE', promised, '-inf', text(now))) do
        redis.call('ZREM', queue, gone)
        redis.call('ZREM', promised, gone)
    end
    redis.call('ZADD', queue, 'NX', text(now + stand_back), me)
    local ahead, due = 0, 0
    for _, other in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
        if other == me then break end
        local kept_until = tonumber(redis.call('ZSCORE', promised, other) or '') or 0
        ahead = ahead + 1
        if kept_until <= now + KEEP_PLACE then due = due + 1 end
    end
    return ahead, due
end

-- After calls had to wait, permits are spread over the second: an urgent call that comes in then finds a place soon.
local function after_gap(name, now, limit, ahead)
    local crowded = tonumber(redis.call('GET', key('crowded', name)) or '')
    local last = tonumber(redis.call('GET', key('last', name)) or '')
    if not crowded or now >= crowded + SECOND or not last or last > now + SECOND or limit <= 0 then return now end
    return last + math.floor(GAP / limit) * (ahead + 1)
end

-- When there is a place for a call behind `ahead` others: as Window.place_at in windows.py.
local function place_at(latest, now, limit, ahead)
    if limit <= ahead then return now + SECOND end
    local leaves = latest[#latest + ahead - limit + 1]
    return leaves and leaves + SECOND or now
end

-- The latest arrivals of a window, surely and as expected: who has a lease will probably send at once.
local function arrivals(window, now)
    local scores = redis.call('ZRANGE', window, 0, -1, 'WITHSCORES')
    local surely, expected = {}, {}
    for i = 2, #scores, 2 do
        local latest = tonumber(scores[i])
        surely[#surely + 1] = latest
        if latest > now + GRANT_AHEAD + jitter then latest = math.max(now, latest - lease + jitter) end
        expected[#expected + 1] = latest
    end
    table.sort(expected)
    return surely, expected
end

local function ask(now)
    local permit, stands_back = ARGV[8], ARGV[9] == '1' and BULK_STANDS_BACK or 0
    local present, knows_from = count_present(now), born(now) + SECOND + jitter + lease
    for i = 10, #ARGV, 2 do
        local left = redis.call('PTTL', key('pause', ARGV[i]))
        if left > 0 then return {'paused', text(now), left * 1000, present} end
    end
    if now < knows_from then return {'wait', text(now), knows_from - now, present} end

    -- Two answers to "when?": for sure and if only those who are due go first, or probably and behind all who wait.
    local absent, start, probably = math.max(0, expected_replicas - present), now, now
    for i = 10, #ARGV, 2 do
        local name, window = ARGV[i], key('window', ARGV[i])
        local limit = tonumber(ARGV[i + 1])
        limit = limit - absent * share(limit)
        redis.call('ZREMRANGEBYSCORE', window, '-inf', text(now - SECOND))
        local surely, expected = arrivals(window, now)
        if #surely > 0 and surely[#surely] > now + lease + SECOND then
            redis.call('DEL', window, key('queue', ARGV[10]), key('promised', ARGV[10]))
            forget(now)
            return {'wait', text(now), SECOND + jitter + lease, present}
        end
        local ahead, due = 0, 0
        if i == 10 then
            ahead, due = line_up(name, now, stands_back)
            start = math.max(start, after_gap(name, now, limit, due))
            probably = math.max(probably, after_gap(name, now, limit, ahead))
        end
        start = math.max(start, place_at(surely, now, limit, due))
        probably = math.max(probably, place_at(expected, now, limit, ahead))
    end

    local queue, promised = key('queue', ARGV[10]), key('promised', ARGV[10])
    if start > now then redis.call('SET', key('crowded', ARGV[10]), text(now), 'PX', IDLE_MS) end
    if start > now + GRANT_AHEAD then
        local wait = math.max(SHORTEST_WAIT, probably - math.floor(GRANT_AHEAD / 2) - now)
        redis.call('ZADD', promised, text(now + wait + KEEP_PLACE), me)
        redis.call('PEXPIRE', queue, IDLE_MS)
        redis.call('PEXPIRE', promised, IDLE_MS)
        return {'wait', text(now), wait, present}
    end
    redis.call('ZREM', queue, me)
    redis.call('ZREM', promised, me)
    redis.call('SET', key('last', ARGV[10]), text(start), 'PX', IDLE_MS)
    for i = 10, #ARGV, 2 do
        redis.call('ZADD', key('window', ARGV[i]), text(start + lease), permit)
        redis.call('PEXPIRE', key('window', ARGV[i]), IDLE_MS)
    end
    return {'granted', text(now), start - now, present}
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
