-- Takes back a failure and its delay, if none was counted since.
-- KEYS[1]: as for attempt.lua
-- ARGV: the failure's number
local kept = redis.call('HMGET', KEYS[1], 'n', 'l')
if kept[1] == ARGV[1] then
  redis.call('HSET', KEYS[1], 'n', string.format('%.0f', kept[1] - 1), 'u', kept[2])
end
return 1
