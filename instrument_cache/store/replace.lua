-- For repairs: puts ARGV[3] in the place of exactly the bytes ARGV[2] of KEYS[1], or does nothing. ARGV[1] holds 's' if bytes
-- were seen there, else there must be no bytes (no key, or one of another type), and 'n' if there is something new, else
-- the key is removed. ARGV[4] is the expiry in milliseconds since 1970, or '0'. Returns 1 if it was done, else 0.
-- MGET answers false where GET would fail: for a key of another type.
local held = redis.call('MGET', KEYS[1])[1]
local seen = string.find(ARGV[1], 's') and ARGV[2]
if held ~= seen and (held or seen) then return 0 end
if not string.find(ARGV[1], 'n') then
  redis.call('DEL', KEYS[1])
elseif ARGV[4] == '0' then
  redis.call('SET', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PXAT', ARGV[4])
end
return 1
