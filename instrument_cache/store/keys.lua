-- Reads only: one page of SCAN as one text, which a client reads at once: {cursor, number of keys, keys by line}.
-- ARGV: cursor, COUNT, and how the keys begin that are asked for: one pass finds those of all prefixes.
local page, found = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2]), {}
for _, key in ipairs(page[2]) do
  for at = 3, #ARGV do
    if string.sub(key, 1, #ARGV[at]) == ARGV[at] then
      found[#found + 1] = key
      break
    end
  end
end
return { page[1], #found, table.concat(found, '\n') }
