-- Gives members of a range, the highest first, with their entries.
-- KEYS[1], KEYS[2]: as in index.lua
-- ARGV: upper end, lower end, how many at most
local found = {}
for _, member in ipairs(redis.call('ZREVRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local entry = redis.call('HGET', KEYS[1], string.sub(member, -22))
  found[#found + 1] = { member, entry or '' }
end
return found
