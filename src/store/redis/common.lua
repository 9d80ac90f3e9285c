-- Stands before every other script.
--
-- KEYS[1]  what is shown of the account: hash of v (version), e (session epoch), j (JSON)
-- KEYS[2]  its sessions: hash of session id -> record in JSON
-- KEYS[3]  when they end: sorted set of session id by refresh_expires_at
--
-- Moments and durations are in milliseconds. Moments are arguments and are compared with what is
-- kept; the server's own expiry only sweeps up behind them.

-- How much longer than it can be used a thing is kept at least: a session, so that clocks that
-- disagree never sweep away what is alive; the copy of an account, so that a sign-in that read the
-- account before a change meets the change.
local MARGIN = 3600000
-- How far replicas' clocks, or theirs and the server's own, may be apart (SR-75).
local LEEWAY = 30000
-- Ten years, which PEXPIRE can still add to the present.
local LONGEST = 315360000000

-- Lets the key live for at least this long.
local function keep(key, millis)
  millis = math.min(millis, LONGEST)
  if redis.call('PTTL', key) < millis then
    redis.call('PEXPIRE', key, string.format('%.0f', millis))
  end
end

-- The server's own clock. Replicas are judged by it, but no moment of theirs is compared with it.
local function server_now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function load(sid)
  local json = redis.call('HGET', KEYS[2], sid)
  return json and cjson.decode(json)
end

-- Keeps a record, and with it all that it needs, and sweeps up what ended long ago.
local function save(sid, json, expires_at, now)
  redis.call('HSET', KEYS[2], sid, json)
  redis.call('ZADD', KEYS[3], string.format('%.0f', expires_at), sid)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf',
      string.format('%.0f', now - MARGIN), 'LIMIT', 0, 100)) do
    redis.call('HDEL', KEYS[2], old)
    redis.call('ZREM', KEYS[3], old)
  end
  for _, key in ipairs(KEYS) do
    keep(key, expires_at - now + MARGIN)
  end
end

local function drop(sid)
  redis.call('ZREM', KEYS[3], sid)
  return redis.call('HDEL', KEYS[2], sid)
end

-- Shows this copy of the account unless it is older than what is shown.
local function publish(version, epoch, json)
  local shown = redis.call('HGET', KEYS[1], 'v')
  if not shown or tonumber(shown) < tonumber(version) then
    redis.call('HSET', KEYS[1], 'v', version, 'e', epoch, 'j', json)
  end
  keep(KEYS[1], MARGIN)
end

-- The session epoch that is shown: no session under a lower one is alive (SR-38).
local function epoch()
  return tonumber(redis.call('HGET', KEYS[1], 'e'))
end

