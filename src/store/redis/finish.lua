-- Keeps the sealed result of a submission, if it is the last of its form. Keys as in claim.lua.
-- ARGV: content, who worked on it, the result, for how long, now
local last = redis.call('HMGET', KEYS[1], 'c', 'h')
if last[1] == ARGV[1] and last[2] == ARGV[2] then
  local lifetime, now = tonumber(ARGV[4]), tonumber(ARGV[5])
  redis.call('HSET', KEYS[1], 'u', string.format('%.0f', now + lifetime), 'a', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], lifetime)
end
return 1
