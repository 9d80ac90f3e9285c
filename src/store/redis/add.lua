-- Adds a session, and takes out some that are older than any can become.
-- ARGV: session id, entry, life in milliseconds, now
local sid, entry, life, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

redis.call('HSET', KEYS[1], sid, entry)
local by_age, by_address = members(sid, entry)
redis.call('ZADD', KEYS[2], 0, by_age, 0, by_address)

local longest = tonumber(redis.call('GET', KEYS[3]) or 0)
if life >= longest then
  -- It runs out when no session of that life can be left.
  longest = life
  redis.call('SET', KEYS[3], string.format('%.0f', life), 'PX', string.format('%.0f', life + MARGIN))
end
for _, key in ipairs({ KEYS[1], KEYS[2] }) do
  if redis.call('PTTL', key) < longest + MARGIN then
    redis.call('PEXPIRE', key, string.format('%.0f', longest + MARGIN))
  end
end
local oldest = string.format('(t%012x', math.max(0, now - longest - MARGIN))
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], '[t', oldest, 'LIMIT', 0, 20)) do
  forget(string.sub(member, -22))
end
return 1
