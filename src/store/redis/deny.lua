-- Puts an access token on the denylist, and sweeps up those that have run out.
-- KEYS[1]: hash of access digest -> entry in JSON
-- ARGV: access digest, entry, how long the token still lives, now
local now = tonumber(ARGV[4])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if cjson.decode(all[i + 1]).expires_at <= now then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
-- A margin, so that clocks that disagree never sweep away what is still refused.
local life = tonumber(ARGV[3]) + 3600000
if redis.call('PTTL', KEYS[1]) < life then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', life))
end
return 1
