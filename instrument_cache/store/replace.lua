-- For repairs: puts something new in the place of exactly the bytes that were seen under a key, or does nothing. KEYS are all
-- different; four of ARGV belong to each: flags, the bytes seen, the new ones, the expiry in milliseconds since 1970, or '0'.
-- The flags hold 's' if bytes were seen there, else there must be no bytes (no key, or one of another type), and 'n' if
-- there is something new, else the key is removed. Returns one letter per key: '1' if it was done, else '0'.
local done = {}
-- MGET answers false where GET would fail: for a key of another type.
for at, held in ipairs(redis.call('MGET', unpack(KEYS))) do
  local flags, seen, new, expiry = unpack(ARGV, 4 * at - 3, 4 * at)
  seen = string.find(flags, 's') and seen
  if held ~= seen and (held or seen) then
    done[at] = '0'
  else
    if not string.find(flags, 'n') then
      redis.call('DEL', KEYS[at])
    elseif expiry == '0' then
      redis.call('SET', KEYS[at], new)
    else
      redis.call('SET', KEYS[at], new, 'PXAT', expiry)
    end
    done[at] = '1'
  end
end
return table.concat(done)
