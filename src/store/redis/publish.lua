-- Shows a copy of the account to its sessions.
-- ARGV: version, epoch, account
publish(ARGV[1], ARGV[2], ARGV[3])
return 1
