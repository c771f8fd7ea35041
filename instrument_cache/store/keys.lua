-- Reads only: one page of SCAN as one text, which a client reads at once: {cursor, number of keys, keys by line}.
-- ARGV: cursor, pattern, COUNT.
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
return { page[1], #page[2], table.concat(page[2], '\n') }
