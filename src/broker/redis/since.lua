-- The seq before the first message of a time or later. Times go up with the seq. ARGV: the time
local since = tonumber(ARGV[1])

local function timesOf(number, visit)
  local channels, base, find = bucketOf(number), tonumber(number) * 64, finder()
  for slot = 0, 63 do
    if channels[slot] then
      local seq, time = find(channels[slot], base + slot)
      if not visit(seq, tonumber(time)) then return end
    end
  end
end

local low, high = 0, redis.call("ZCARD", key("order"))
while low < high do
  local middle = math.floor((low + high) / 2)
  timesOf(redis.call("ZRANGE", key("order"), middle, middle)[1], function(_, time)
    if time < since then low = middle + 1 else high = middle end
    return false
  end)
end
-- Every bucket before this one begins earlier; the first message may lie within the last of those.
if low == 0 then return "0" end
local before = 0
timesOf(redis.call("ZRANGE", key("order"), low - 1, low - 1)[1], function(seq, time)
  if time < since then before = seq end
  return time < since
end)
return whole(before)
