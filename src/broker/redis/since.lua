-- The seq before the first message of a time or later. Times go up with the seq. ARGV: the time
local since = tonumber(ARGV[1])

local function firstOf(number)
  local channels, base = bucketOf(number), tonumber(number) * 64
  for slot = 0, 63 do
    if channels[slot] then
      local seq = whole(base + slot)
      local entry = redis.call("XRANGE", key("messages:" .. channels[slot]), seq, seq)[1]
      if entry then return base + slot, tonumber(entry[2][2]), channels end
    end
  end
end

local low, high = 0, redis.call("ZCARD", key("order"))
while low < high do
  local middle = math.floor((low + high) / 2)
  local _, time = firstOf(redis.call("ZRANGE", key("order"), middle, middle)[1])
  if time and time < since then low = middle + 1 else high = middle end
end
-- Every bucket before this one begins earlier; the first message may lie within the last of those.
if low == 0 then return "0" end
local number = redis.call("ZRANGE", key("order"), low - 1, low - 1)[1]
local channels, base = bucketOf(number), tonumber(number) * 64
local before = 0
for slot = 0, 63 do
  if channels[slot] then
    local seq = whole(base + slot)
    local entry = redis.call("XRANGE", key("messages:" .. channels[slot]), seq, seq)[1]
    if entry and tonumber(entry[2][2]) < since then before = base + slot end
  end
end
return whole(before)
