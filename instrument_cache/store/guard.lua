-- The only writer of instruments. KEYS[i] is offered the bytes ARGV[i]; the larger bytes stay (instrument_cache/change.py
-- says why bytes are the order). ARGV[#KEYS + i], if given, is the expiry in milliseconds since 1970, or '0'.
-- Returns one letter per key: a applied · d duplicate · s stale · A and S: between values of equal version (a tie).
-- Range arguments are texts on purpose: numbers would be formatted anew on each call.
local count = #KEYS
local expires = #ARGV > count
local outcome = {}

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

-- A key of another type holds nothing of the store.
local function read(at)
  local held = redis.pcall('GETRANGE', KEYS[at], '5', '20')
  if type(held) == 'string' then return held end
  if string.find(held.err, '^WRONGTYPE') then return '' end
  error(held.err)
end

local function put(at)
  local expiry = expires and ARGV[count + at] or '0'
  if expiry == '0' then
    redis.call('SET', KEYS[at], ARGV[at])
  else
    redis.call('SET', KEYS[at], ARGV[at], 'PXAT', expiry)
  end
end

-- The offer is not newer by version alone: decide by the whole bytes. What is not of the store is replaced.
local function settle(at, held, version)
  if #held ~= 16 or not string.find(held, '^%d+$') then
    put(at)
    return 'a'
  end
  if held ~= version then return 's' end
  local stored = redis.call('GET', KEYS[at])
  if stored == ARGV[at] then return 'd' end
  local wins = larger(ARGV[at], stored)
  if wins then put(at) end
  -- A deletion of exactly the state that is held is no tie.
  if is_tombstone(ARGV[at]) ~= is_tombstone(stored) then return wins and 'a' or 's' end
  return wins and 'A' or 'S'
end

for at = 1, count do
  local held = read(at)
  local version = string.sub(ARGV[at], 6, 21)
  if held == '' or version > held then
    put(at)
    outcome[at] = 'a'
  else
    outcome[at] = settle(at, held, version)
  end
end
return table.concat(outcome)
