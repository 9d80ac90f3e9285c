-- Notes that the owner of a live session has proved again who they are; gives the session.
-- ARGV: session id, now
local sid, now = ARGV[1], tonumber(ARGV[2])

local record, epoch = load(sid), epoch()
if not record or not epoch
    or record.session.refresh_expires_at <= now or record.session.epoch < epoch then
  return false
end
record.session.reauthenticated_at = now
local json = cjson.encode(record)
redis.call('HSET', KEYS[2], sid, json)
return json
