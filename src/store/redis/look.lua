-- Gives all that a request is judged by, as it is at one moment: the session, the epoch that counts
-- and the account, and the server's clock; nothing if one of them is missing or the token is denied.
-- It decodes nothing and writes nothing: this is what Redis does for every request.
-- KEYS: what is shown of the account, its sessions, and the denylist; a cluster is asked for that apart
-- ARGV: session id, access digest
if KEYS[3] and redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then
  return false
end
local record = redis.call('HGET', KEYS[2], ARGV[1])
local account = redis.call('HMGET', KEYS[1], 'e', 'j')
if not record or not account[2] then
  return false
end
local time = redis.call('TIME')
-- As one text, which a client takes in with less work than a list.
return table.concat({ account[1], time[1], time[2], #record }, ' ') .. '\n' .. record .. account[2]
