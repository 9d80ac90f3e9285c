-- Ends a session; 1 if there was one.
-- ARGV: session id
return drop(ARGV[1])
