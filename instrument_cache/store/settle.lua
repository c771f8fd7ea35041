-- Adds one batch to the account, behind the guard's calls for it and in the same exchange.
-- KEYS[1] is the tally that these calls have left, KEYS[2] the lag histograms, KEYS[3] the set of partitions, KEYS[4…]
-- their accounts. ARGV[1] is the JSON {"entries": [{"partition", "start", "was", "holes_were", "next", "holes",
-- "counts": {…}}, …], "lags": {…}, "keys": n} with an entry, in the order of the slots, for each of KEYS[4…]. Returns 1, or
-- 0, and adds nothing, if an account does not stand where its entry was made for, or if not all n keys were offered: Redis
-- can refuse the guard for want of memory, and have memory again when this call comes.
local batch = cjson.decode(ARGV[1])
local outcomes = { A = 'applied', d = 'duplicate', s = 'stale', S = 'stale' }

for at, entry in ipairs(batch.entries) do
  local held = redis.call('HMGET', KEYS[3 + at], 'next', 'holes')
  if (held[1] or '') ~= entry.was or (held[2] or '') ~= entry.holes_were then
    redis.call('DEL', KEYS[1])
    return 0
  end
end

local offered = tonumber(redis.call('HGET', KEYS[1], 'keys') or '0')
redis.call('HDEL', KEYS[1], 'keys')
local tally = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
if offered ~= batch.keys then return 0 end

for at, entry in ipairs(batch.entries) do
  local account = KEYS[3 + at]
  if entry.was == '' then redis.call('SADD', KEYS[3], entry.partition) end
  redis.call('HSET', account, 'start', entry.start, 'next', entry.next, 'holes', entry.holes)
  for name, amount in pairs(entry.counts) do
    redis.call('HINCRBY', account, name, amount)
  end
end
for i = 1, #tally, 2 do
  local slot, letter = string.match(tally[i], '^(%d+)(%a)$')
  local account = KEYS[3 + tonumber(slot)]
  -- The entry has counted every key that was offered as applied.
  redis.call('HINCRBY', account, 'applied', -tally[i + 1])
  redis.call('HINCRBY', account, outcomes[letter], tally[i + 1])
  if letter == 'A' or letter == 'S' then redis.call('HINCRBY', account, 'ties', tally[i + 1]) end
end
for name, amount in pairs(batch.lags) do
  redis.call('HINCRBY', KEYS[2], name, amount)
end
return 1
