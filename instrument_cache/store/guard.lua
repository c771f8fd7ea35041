-- The only writer of instruments. KEYS[i], all different, is offered the bytes ARGV[i + 2]; the larger bytes stay
-- (instrument_cache/change.py says why bytes are the order). ARGV[#KEYS + i + 2], if given, is the expiry in milliseconds
-- since 1970, or '0'.
-- Returns one letter per key: a applied · d duplicate · s stale · A and S: between values of equal version (a tie).
-- ARGV[1] is the key of a tally, or nothing, and ARGV[2] has one byte for each of the first keys, its slot. In the tally,
-- for settle.lua, stand the number of keys and the outcomes other than a in slots above 0: the caller knows how many keys
-- it offered in each slot. With a tally nothing is returned.
-- All keys are read by one command and nearly all written by one: a command for each key costs half as much again.
local tally, slots = ARGV[1], ARGV[2]
local count = #KEYS
local first = 2
local expires = #ARGV > count + first
local tallied = tally ~= ''
local outcome = {}
local winners, size = {}, 0
local others = {}

-- Lua's < on strings follows the locale; the order of the store must not.
local function larger(a, b)
  local shared = math.min(#a, #b)
  for at = 1, shared do
    local x, y = string.byte(a, at), string.byte(b, at)
    if x ~= y then return x > y end
  end
  return #a > #b
end

-- {"v":<16 digits>,"~deleted_at":…}
local function is_tombstone(bytes)
  return string.byte(bytes, 24) == 126
end

local function put(at)
  local expiry = expires and ARGV[count + at + first] or '0'
  if expiry == '0' then
    winners[size + 1] = KEYS[at]
    winners[size + 2] = ARGV[at + first]
    size = size + 2
  else
    redis.call('SET', KEYS[at], ARGV[at + first], 'PXAT', expiry)
  end
end

-- The offer is not newer by version alone: decide by the whole bytes. What is not of the store is replaced.
local function settle(at, stored, held, version)
  if #held ~= 16 or not string.find(held, '^%d+$') then
    put(at)
    return 'a'
  end
  if held ~= version then return 's' end
  local offer = ARGV[at + first]
  if stored == offer then return 'd' end
  local wins = larger(offer, stored)
  if wins then put(at) end
  -- A deletion of exactly the state that is held is no tie.
  if is_tombstone(offer) ~= is_tombstone(stored) then return wins and 'a' or 's' end
  return wins and 'A' or 'S'
end

-- MGET answers false for a key that is not there, or is of another type and so holds nothing of the store.
for at, stored in ipairs(redis.call('MGET', unpack(KEYS))) do
  local held = stored and string.sub(stored, 6, 21)
  local version = held and string.sub(ARGV[at + first], 6, 21)
  if not held or held == '' or version > held then
    if expires then
      put(at)
    else
      winners[size + 1] = KEYS[at]
      winners[size + 2] = ARGV[at + first]
      size = size + 2
    end
    if not tallied then outcome[at] = 'a' end
  else
    local letter = settle(at, stored, held, version)
    local slot = string.byte(slots, at) or 0
    if slot > 0 and letter ~= 'a' then
      local name = slot .. letter
      others[name] = (others[name] or 0) + 1
    end
    if not tallied then outcome[at] = letter end
  end
end
if size > 0 then redis.call('MSET', unpack(winners)) end

if tallied then
  others.keys = count
  for name, amount in pairs(others) do
    redis.call('HINCRBY', tally, name, amount)
  end
  -- Of a worker that dies before it settles.
  redis.call('EXPIRE', tally, '600')
end
return table.concat(outcome)
