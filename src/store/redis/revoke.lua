-- Shows a copy of the account and ends its sessions but one; gives how many live ones ended.
-- The one that is kept goes on under the account's present epoch.
-- ARGV: session id to keep or empty, now, version, epoch, account
local sid, now = ARGV[1], tonumber(ARGV[2])

local ended = redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.0f', now), '+inf')
local kept = sid ~= '' and load(sid)
-- First what even a full Redis lets us do.
redis.call('UNLINK', KEYS[2], KEYS[3])
publish(ARGV[3], ARGV[4], ARGV[5])
if kept and kept.session.refresh_expires_at > now then
  ended = ended - 1
  kept.session.epoch = math.max(kept.session.epoch, epoch())
  save(sid, cjson.encode(kept), kept.session.refresh_expires_at, now)
end
return ended
