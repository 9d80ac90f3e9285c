-- Gives a live session and its account, if this is the session's current access token.
-- ARGV: session id, access digest, now, how often at most to note that it was seen
local sid, access, now, seen_every = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- KEYS[4]: the denylist; on a cluster it is asked apart.
if KEYS[4] and redis.call('HEXISTS', KEYS[4], access) == 1 then
  return false
end
local json = redis.call('HGET', KEYS[2], sid)
local account = redis.call('HMGET', KEYS[1], 'e', 'j')
if not json or not account[2] then
  return false
end
local record = cjson.decode(json)
local session = record.session
if session.access_expires_at <= now
    or session.refresh_expires_at <= now
    or session.epoch < tonumber(account[1])
    or record.access ~= access then
  return false
end
-- A replica whose clock is behind lets no token live longer than its life (SR-75).
local life = session.access_expires_at - session.issued_at
if record.server_at and server_now() - record.server_at > life + LEEWAY then
  return false
end
if not record.used or now - session.last_seen_at >= seen_every then
  record.used = true
  if now - session.last_seen_at >= seen_every then
    session.last_seen_at = now
  end
  json = cjson.encode(record)
  redis.call('HSET', KEYS[2], sid, json)
end
return { json, account[2] }
