-- Stands before the scripts that change a shard of the list of all sessions.
--
-- KEYS[1]  entries: hash of session id -> account (22), moment it began (12, hex), address
-- KEYS[2]  members of one score, which Redis therefore sorts as texts:
--          't' .. moment .. session id, and address .. moment .. session id
-- KEYS[3]  the longest life of a session in the shard, in milliseconds

local MARGIN = 3600000

local function members(sid, entry)
  local began = string.sub(entry, 23, 34)
  return 't' .. began .. sid, string.sub(entry, 35) .. began .. sid
end

local function forget(sid)
  local entry = redis.call('HGET', KEYS[1], sid)
  if entry then
    redis.call('ZREM', KEYS[2], members(sid, entry))
    redis.call('HDEL', KEYS[1], sid)
  end
end

