-- Counts a failure ahead of an attempt, unless the delay after the last one still runs (SR-22).
-- Times are in milliseconds.
-- KEYS[1]: hash of n (failures in a row), l (when the last was), u (until when is waited)
-- ARGV: failures before the first delay, first delay, longest delay, when all is forgotten, now
-- Gives: 1 and the failure's number, or 0 and how long to wait
local free, first, ceiling = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local memory, now = tonumber(ARGV[4]), tonumber(ARGV[5])

local kept = redis.call('HMGET', KEYS[1], 'n', 'l', 'u')
local failures, last, wait_until = tonumber(kept[1] or 0), tonumber(kept[2] or now), tonumber(kept[3] or now)
if now - last >= memory then
  failures, wait_until = 0, now
end
if wait_until > now then
  -- A clock that was set back must not lock anybody out for longer than any delay.
  return { 0, math.min(wait_until - now, ceiling) }
end
failures = math.min(failures + 1, 4294967295)
local delay = 0
if failures >= free then
  delay = math.min(first * 2 ^ math.min(failures - free, 20), ceiling)
end
redis.call('HSET', KEYS[1], 'n', string.format('%.0f', failures), 'l', string.format('%.0f', now),
  'u', string.format('%.0f', now + delay))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', memory))
return { 1, failures }
