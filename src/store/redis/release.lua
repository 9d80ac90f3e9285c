-- Forgets a submission, if it is the last of its form. Keys as in claim.lua.
-- ARGV: content, who worked on it
local last = redis.call('HMGET', KEYS[1], 'c', 'h')
if last[1] == ARGV[1] and last[2] == ARGV[2] then
  redis.call('UNLINK', KEYS[1])
end
return 1
