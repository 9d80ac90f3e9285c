-- Claims a form for a submission, unless an identical one is worked on or has a result.
-- KEYS[1]: the last submission of the form: hash of c (content), h (who works on it), u (until when it
--          counts), a (its sealed result)
-- ARGV: content, who asks, how long, now
-- Gives: 'first', 'running', or 'done' and the result
local content, holder = ARGV[1], ARGV[2]
local lease, now = tonumber(ARGV[3]), tonumber(ARGV[4])

local last = redis.call('HMGET', KEYS[1], 'c', 'h', 'u', 'a')
if last[1] == content and now < tonumber(last[3]) then
  if last[4] then
    return { 'done', last[4] }
  elseif last[2] ~= holder then
    return { 'running', '' }
  end
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'c', content, 'h', holder, 'u', string.format('%.0f', now + lease))
redis.call('PEXPIRE', KEYS[1], lease)
return { 'first', '' }
