-- Gives the epoch that counts, the copy of the account, and the records of some sessions. Keys as in common.lua.
-- ARGV: session ids
local shown = redis.call('HMGET', KEYS[1], 'e', 'j')
return { shown[1], shown[2], redis.call('HMGET', KEYS[2], unpack(ARGV)) }
