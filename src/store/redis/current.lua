-- Whether a refresh token is the current one of a live session. Changes nothing.
-- ARGV: session id, refresh digest, now
local record, epoch = load(ARGV[1]), epoch()
if not record or not epoch then
  return 0
end
local session = record.session
local live = session.refresh_expires_at > tonumber(ARGV[3]) and session.epoch >= epoch
return live and record.refresh == ARGV[2] and 1 or 0
