-- Opens a session, or renews one that is open still.
-- ARGV: session id, record, its refresh_expires_at, now, 1 to renew only, version, epoch, account
local sid, record, expires_at, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local version, renewal = ARGV[6], ARGV[5] == '1'

local shown = redis.call('HGET', KEYS[1], 'v')
if shown and tonumber(shown) > tonumber(version) then
  return 'account_changed'
end
if renewal then
  local current = load(sid)
  if not current or current.session.refresh_expires_at <= now then
    return 'gone'
  end
end
publish(version, ARGV[7], ARGV[8])
record = cjson.decode(record)
record.server_at = server_now()
save(sid, cjson.encode(record), expires_at, now)
return 'done'
