-- Replaces the refresh token of a session (SR-36).
-- ARGV: session id, old digest, new access digest, new refresh digest, access lifetime, grace, now,
--       the token that the old one says it follows, when it says it was issued, version, epoch, account
local sid, old, access, refresh = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local access_lifetime, grace, now = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local follows, issued_at = ARGV[8], tonumber(ARGV[9])

local record = load(sid)
if not record then
  return { 'unknown' }
end
publish(ARGV[10], ARGV[11], ARGV[12])
local session = record.session
if session.refresh_expires_at <= now or session.epoch < epoch() then
  drop(sid)
  return { 'unknown' }
end
-- The account was read before all sessions were ended: whoever asks was overtaken, and has stolen
-- nothing. Nor may it go on under the new epoch, which is for the session that was kept.
if tonumber(ARGV[11]) < epoch() then
  return { 'unknown' }
end

-- The current token gives way to its successor; and so does the one after it, if the moment in which
-- that was issued was lost.
local is_behind = record.refresh == follows
if record.refresh == old or is_behind then
  local idle = session.idle_lifetime.secs * 1000 + math.floor(session.idle_lifetime.nanos / 1000000)
  session.issued_at = now
  session.last_seen_at = now
  session.refresh_expires_at = math.min(now + idle, session.absolute_expires_at)
  session.access_expires_at = math.min(now + access_lifetime, session.refresh_expires_at)
  record.previous = old
  record.access = access
  record.refresh = refresh
  record.used = false
  record.rotated_at = now
  record.server_at = server_now()
  local json = cjson.encode(record)
  save(sid, json, session.refresh_expires_at, now)
  return { is_behind and 'caught_up' or 'rotated', json }
end

-- Its immediate predecessor: a second tab, or an answer that was lost.
local is_predecessor = record.previous == old
  and record.access == access and record.refresh == refresh
if is_predecessor and (now - record.rotated_at <= grace or not record.used) then
  if session.access_expires_at <= now then
    session.issued_at = now
    session.access_expires_at = math.min(now + access_lifetime, session.refresh_expires_at)
    record.server_at = server_now()
    redis.call('HSET', KEYS[2], sid, cjson.encode(record))
  end
  return { 'repeated', cjson.encode(record) }
end

drop(sid)
-- Younger than all that is known here: nobody has stolen it, and much was lost.
return { issued_at > session.issued_at + LEEWAY and 'unknown' or 'reused' }
