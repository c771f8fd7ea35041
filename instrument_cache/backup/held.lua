-- What is held under KEYS, as one string: of each key the length of its value (4 bytes), its expiry in ms (8 bytes; -1:
-- never, -2: there is no such key), and the value. To be compared as a whole with what should be held.
local parts = {}
for at, value in ipairs(redis.call('MGET', unpack(KEYS))) do
  value = value or ''
  parts[#parts + 1] = struct.pack('<Il', #value, redis.call('PEXPIRETIME', KEYS[at]))
  parts[#parts + 1] = value
end
return table.concat(parts)
