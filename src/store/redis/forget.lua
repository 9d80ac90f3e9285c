-- Takes sessions out.
-- ARGV: session ids
for _, sid in ipairs(ARGV) do
  forget(sid)
end
return 1
