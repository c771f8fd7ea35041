-- Reads only: the numbers, from 1, of those KEYS that do not hold exactly the bytes ARGV[i]. To send what is expected and
-- get back what differs costs the asker a tenth of reading every value.
local numbers = {}
for at, held in ipairs(redis.call('MGET', unpack(KEYS))) do
  if held ~= ARGV[at] then numbers[#numbers + 1] = at end
end
return numbers
