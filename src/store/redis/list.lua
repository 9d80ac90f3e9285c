-- Gives the epoch that counts and every record there is, dead ones included.
return { redis.call('HGET', KEYS[1], 'e'), redis.call('HVALS', KEYS[2]) }
