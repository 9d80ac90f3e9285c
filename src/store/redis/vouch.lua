-- Gives a live session and its account to whoever shows its refresh token and keeps it.
-- ARGV: session id, refresh digest, grace, now, how often at most to note that it was seen,
--       the token that it says it follows, when it says it was issued
local sid, refresh = ARGV[1], ARGV[2]
local grace, now, seen_every = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local follows, issued_at = ARGV[6], tonumber(ARGV[7])

local json = redis.call('HGET', KEYS[2], sid)
local account = redis.call('HMGET', KEYS[1], 'e', 'j')
if not json or not account[2] then
  return { 'unknown' }
end
local record = cjson.decode(json)
local session = record.session
if session.refresh_expires_at <= now or session.epoch < tonumber(account[1]) then
  return { 'unknown' }
end
-- A replica whose clock is behind lets no session live longer than its life (SR-75).
local life = session.refresh_expires_at - session.issued_at
if record.server_at and server_now() - record.server_at > life + LEEWAY then
  return { 'unknown' }
end
if record.refresh == refresh then
  -- Also by a clock that was set back since.
  local seen = math.abs(now - session.last_seen_at) >= seen_every
  if not record.used or seen then
    record.used = true
    if seen then
      session.last_seen_at = now
    end
    json = cjson.encode(record)
    -- A Redis that is full lets people in all the same. Any other failure says that it may not be
    -- believed.
    local noted = redis.pcall('HSET', KEYS[2], sid, json)
    local failure = type(noted) == 'table' and noted.err
    if failure and not string.find(failure, 'OOM ', 1, true) and not string.find(failure, 'MISCONF ', 1, true) then
      return noted
    end
  end
  return { 'good', json, account[2] }
end
-- The one after it, or its immediate predecessor, where a refresh would be answered once more.
if record.refresh == follows
    or record.previous == refresh and (now - record.rotated_at <= grace or not record.used) then
  return { 'good', json, account[2] }
end
return { issued_at > session.issued_at + LEEWAY and 'unknown' or 'spent' }
