-- Counts a failure ahead of an attempt, unless the delay after the last one still runs (SR-22).
-- Times are in milliseconds.
-- KEYS[1]: hash of n (failures in a row), l (when the last was), u (until when is waited)
-- ARGV: failures before the first delay, first delay, longest delay, when all is forgotten, now, how far
--       clocks may be apart
-- Gives: 1 and the failure's number, or 0 and how long to wait
local free, first, ceiling = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local memory, now, leeway = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local function delay(failures)
  if failures < free then
    return 0
  end
  return math.min(first * 2 ^ math.min(failures - free, 20), ceiling)
end

local kept = redis.call('HMGET', KEYS[1], 'n', 'l', 'u')
local failures, last, wait_until = tonumber(kept[1] or 0), tonumber(kept[2] or now), tonumber(kept[3] or now)
if now - last >= memory then
  failures, wait_until = 0, now
end
-- A delay that would run for longer than it can was begun before the clock was set back, and is over.
if wait_until > now and wait_until - now <= delay(failures) + leeway then
  return { 0, wait_until - now }
end
failures = math.min(failures + 1, 4294967295)
redis.call('HSET', KEYS[1], 'n', string.format('%.0f', failures), 'l', string.format('%.0f', now),
  'u', string.format('%.0f', now + delay(failures)))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', memory))
return { 1, failures }
