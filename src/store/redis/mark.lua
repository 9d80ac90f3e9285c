-- Notes that a session's current pair of tokens is in use, and when the session was seen. It goes along
-- with the question whether the token is good, and so asks for itself: a token that was replaced, or
-- has run out, leaves no trace.
-- ARGV: session id, access digest, now, how often at most to note that it was seen
local sid, access, now, seen_every = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local record = load(sid)
if not record or record.access ~= access or now >= record.session.access_expires_at then
  return 0
end
-- Also by a clock that was set back since.
local seen = math.abs(now - record.session.last_seen_at) >= seen_every
if record.used and not seen then
  return 0
end
record.used = true
if seen then
  record.session.last_seen_at = now
end
redis.call('HSET', KEYS[2], sid, cjson.encode(record))
return 1
