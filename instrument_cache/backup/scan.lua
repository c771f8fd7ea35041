-- One page of a scan: ARGV[1] is the cursor, ARGV[2] how many keys to look at, ARGV[3] the dataset, then its key prefixes
-- (`instr:`). Returns the next cursor; the entries of the dataset, one behind the other: lengths of key and value (4 bytes
-- each), expiry in ms (8 bytes, -1: never), key, value; and how many keys were neither entries nor the dataset's own notes.
-- One string for a page: as many answers as keys would cost the reader more than all the rest.
local dataset = ARGV[3]
local page = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])

local function is_entry(key)
  for at = 4, #ARGV do
    if string.sub(key, 1, #ARGV[at]) == ARGV[at] then return true end
  end
  return false
end

-- `account:instruments:0`, `lookup:hot:instruments`; API keys belong to no dataset.
local function is_note(key)
  return string.find(key .. ':', ':' .. dataset .. ':', 1, true) or string.sub(key, 1, 7) == 'apikey:'
end

local keys, others = {}, 0
for _, key in ipairs(page[2]) do
  if is_entry(key) then
    keys[#keys + 1] = key
  elseif not is_note(key) then
    others = others + 1
  end
end

local parts = {}
if #keys > 0 then
  -- MGET answers false for what expired meanwhile, or is of another type and so nothing of the store.
  for at, value in ipairs(redis.call('MGET', unpack(keys))) do
    if value then
      parts[#parts + 1] = struct.pack('<IIl', #keys[at], #value, redis.call('PEXPIRETIME', keys[at]))
      parts[#parts + 1] = keys[at]
      parts[#parts + 1] = value
    end
  end
end
return {page[1], table.concat(parts), others}
