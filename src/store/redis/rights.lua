-- Tries every command that any script uses, on keys that nothing else has; gives the names of those
-- that the user may not run. It begins with a write, because a Redis that is full or read-only could
-- not keep the change that is about to be made.
-- KEYS: a text, a hash, a sorted set
local text, hash, order = KEYS[1], KEYS[2], KEYS[3]
local missing = {}
local function try(command, ...)
  local done = redis.pcall(command, ...)
  if type(done) == 'table' and done.err then
    local err = string.lower(done.err)
    if not string.find(err, 'permission') and not string.find(err, 'acl failure') then
      return done
    end
    missing[#missing + 1] = string.find(err, ' key') and command .. ' ' .. text or command
  end
end
local failed = try('SET', text, '1', 'PX', 60000)
if failed then
  return failed
end
for _, call in ipairs({
  { 'GET', text }, { 'PTTL', text }, { 'PEXPIRE', text, 60000 }, { 'TIME' },
  { 'HSET', hash, 'a', '1' }, { 'HSETNX', hash, 'a', '1' }, { 'HGET', hash, 'a' },
  { 'HMGET', hash, 'a' }, { 'HGETALL', hash }, { 'HVALS', hash }, { 'HLEN', hash },
  { 'HEXISTS', hash, 'a' }, { 'HDEL', hash, 'a' },
  { 'ZADD', order, 0, 'a' }, { 'ZCOUNT', order, 0, 0 }, { 'ZRANGEBYSCORE', order, 0, 0 },
  { 'ZRANGEBYLEX', order, '[a', '[a' }, { 'ZREVRANGEBYLEX', order, '[a', '[a' },
  { 'ZREM', order, 'a' }, { 'UNLINK', hash, order },
}) do
  failed = try(unpack(call))
  if failed then
    return failed
  end
end
return missing
