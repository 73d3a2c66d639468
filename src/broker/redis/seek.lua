-- The newest messages of a selection, downward: how many were found, the seq of the last, from where on to go further
-- (-1 when there is no more).
-- ARGV: lowest seq that does not count, seq to begin before (-1: the newest), how many, names, patterns as in a read
local low, before, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local nameCount, patternCount = tonumber(ARGV[4]), tonumber(ARGV[5])
local names, patterns = slice(6, nameCount), slice(6 + nameCount, patternCount)
if before < 0 then before = head + 1 end
local found, last, bytes, cursor = 0, 0, 0, -1

if #patterns == 0 then
  merge(names, before, true, function(seq, _, _, body)
    if seq <= low or found == count then return false end
    if found > 0 and (bytes > 1048576 or found >= 1000) then
      cursor = last
      return false
    end
    found, last, bytes = found + 1, seq, bytes + #body
    return true
  end)
else
  local matches = matcher(names, patterns)
  local most = math.max(4, math.floor(64 / (1 + #patterns / 4)))
  local numbers =
    redis.call("ZREVRANGEBYSCORE", key("order"), whole(math.floor((before - 1) / 64)), "-inf", "LIMIT", 0, most)
  for _, number in ipairs(numbers) do
    local channels, base = bucketOf(number), tonumber(number) * 64
    for slot = 63, 0, -1 do
      local name, seq = channels[slot], base + slot
      if name and seq < before and seq > low and found < count and matches(name) then found, last = found + 1, seq end
    end
    if base <= low or found == count then break end
    cursor = base
  end
  if #numbers < most or found == count or (cursor >= 0 and cursor <= low) then cursor = -1 end
end
return { epoch, whole(head), whole(found), whole(last), whole(cursor) }
