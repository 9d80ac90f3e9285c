-- Takes tokens from a bucket (GCRA). Times are in microseconds.
-- KEYS[1]: the bucket's theoretical arrival time; gone or in the past, the bucket is full
-- ARGV: microseconds for one token, burst, tokens, whether they were spent already (1), now, how far
--       clocks may be apart
-- Gives: whether they were there (or another one is, if they were spent), how many are left, and
-- how long until there are
local interval, burst, tokens = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local owe, now, leeway = ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6])

local depth = interval * burst
-- What was spent already may be owed, up to a full bucket.
local most = owe and 2 * depth or depth
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
-- Further ahead lies only what was written before the clock was set back: then the bucket holds what is
-- asked for, and nothing else.
if full_at - now > most + leeway then
  full_at = now + math.max(0, depth - interval * tokens)
end
local next = full_at + interval * tokens
local fits = next - now <= depth
if fits or owe then
  full_at = math.min(next, now + most)
  local life = math.ceil((full_at - now) / 1000) + 1000
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', string.format('%.0f', life))
end
local level = depth - (full_at - now)
local remaining = math.max(0, math.floor(level / interval))
local short = interval - level
local allowed = remaining > 0
if not owe then
  allowed = fits
  if not fits then
    short = next - now - depth
  end
end
return { allowed and 1 or 0, remaining, math.max(0, math.ceil(short)) }
