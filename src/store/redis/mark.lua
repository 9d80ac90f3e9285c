-- Notes that a session's current pair of tokens was used, and when the session was seen. If another
-- pair has replaced it meanwhile, there is nothing to note.
-- ARGV: session id, access digest, now, how often at most to note that it was seen
local sid, access, now, seen_every = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local record = load(sid)
if not record or record.access ~= access then
  return 0
end
record.used = true
if now - record.session.last_seen_at >= seen_every then
  record.session.last_seen_at = now
end
redis.call('HSET', KEYS[2], sid, cjson.encode(record))
return 1
