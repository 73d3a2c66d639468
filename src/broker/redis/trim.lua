-- One step of retention of an app, by one node at a time. It must go on where memory is full, which it is to free.
-- ARGV: node, the time by which ages are judged, how much at most, then what may be kept: messages, age, bytes of a
-- channel, bytes and channels of the app; where the last look at all channels ended
local node, now, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local mostCount, mostAge, mostBytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local mostAppBytes, mostChannels = tonumber(ARGV[7]), tonumber(ARGV[8])
local appBytes, floor = tonumber(kept[9]), tonumber(kept[6])
local done = 0

local function bytesOf(name) return tonumber(redis.call("HGET", key("bytes"), name) or "0") end
local function countOf(name) return redis.call("LLEN", key("messages:" .. name)) end
local function exceeds(count, bytes)
  return (mostCount > 0 and count > mostCount) or (mostBytes > 0 and bytes > mostBytes)
end
local function tooOld(time) return mostAge > 0 and time < now - mostAge end

-- The time of the app's oldest message, which is the oldest of its channel as well.
local function oldest()
  local number = redis.call("ZRANGE", key("order"), 0, 0)[1]
  if not number then return nil end
  local channels = bucketOf(number)
  for slot = 0, 63 do
    if channels[slot] then
      local _, time = parsed(redis.call("LINDEX", key("messages:" .. channels[slot]), 0))
      return tonumber(time)
    end
  end
end

-- Settings that changed are seen at channels that nobody publishes to as well, a few in each step.
local swept = redis.call("ZRANGEBYLEX", key("names"), ARGV[9] == "" and "-" or "(" .. ARGV[9], "+", "LIMIT", 0, 20)
local overs = {}
for _, name in ipairs(swept) do
  if exceeds(countOf(name), bytesOf(name)) then overs[#overs + 1] = name end
end

local time = oldest()
local due = #overs > 0
  or redis.call("SCARD", key("over")) > 0
  or (time and (tooOld(time) or (mostAppBytes > 0 and appBytes > mostAppBytes)))
  or (mostChannels > 0 and redis.call("ZCARD", key("last")) > mostChannels)
  or redis.call("ZCOUNT", key("until"), "-inf", "(" .. whole(now)) > 0
local cursor = swept[20] or ""
if not due then return { "0", cursor } end
local holder = redis.call("GET", key("trimming"))
if holder and holder ~= node then return { "0", cursor } end
redis.call("SET", key("trimming"), node, "PX", 3000)
if #overs > 0 then redis.call("SADD", key("over"), unpack(overs)) end

local places = {}
local function leave(seq)
  local number = whole(math.floor(seq / 64))
  local bucket = places[number]
  if not bucket then
    bucket = { key("order:" .. number) }
    places[number] = bucket
  end
  bucket[#bucket + 1] = seq % 64
end

-- Drops a channel's oldest messages, of which the newest is `last`.
local function dropped(name, count, bytes, last)
  local messages = key("messages:" .. name)
  appBytes = appBytes - bytes
  redis.call("LTRIM", messages, count, -1)
  redis.call("ZADD", key("trimmed"), whole(last), name)
  redis.call("HINCRBY", key("bytes"), name, whole(0 - bytes)) -- of zero a minus would be "-0"
  local first = redis.call("LINDEX", messages, 0)
  if first then
    redis.call("ZADD", key("first"), string.match(first, "^%d+"), name)
  else
    redis.call("HDEL", key("bytes"), name)
    redis.call("ZREM", key("first"), name)
    redis.call("ZREM", key("names"), name)
  end
end

local function drop(name, isDue)
  local count, bytes = countOf(name), bytesOf(name)
  local number, size, last = 0, 0, nil
  while done < limit and isDue(count, bytes) do
    local entries = redis.call("LRANGE", key("messages:" .. name), number, number + math.min(32, limit - done) - 1)
    if #entries == 0 then break end
    for _, entry in ipairs(entries) do
      if done >= limit or not isDue(count, bytes) then break end
      local its
      last, _, its = parsed(entry)
      count, bytes, number, size, done = count - 1, bytes - its, number + 1, size + its, done + 1
      leave(last)
    end
  end
  if last then dropped(name, number, size, last) end
end

while done < limit do
  local name = redis.call("SRANDMEMBER", key("over"))
  if not name then break end
  drop(name, exceeds)
  if not exceeds(countOf(name), bytesOf(name)) then redis.call("SREM", key("over"), name) end
end

local function flush()
  for number, bucket in pairs(places) do
    redis.call("HDEL", unpack(bucket))
    if redis.call("EXISTS", bucket[1]) == 0 then redis.call("ZREM", key("order"), number) end
  end
  places = {}
end
flush()

-- The app's oldest messages are the oldest of their channels as well.
local touched, left = {}, appBytes
local over, find = false, finder()
while done < limit and not over do
  local number = redis.call("ZRANGE", key("order"), 0, 0)[1]
  if not number then break end
  local channels, base = bucketOf(number), tonumber(number) * 64
  for slot = 0, 63 do
    local name = channels[slot]
    if name and not over and done < limit then
      local _, at, size = find(name, base + slot)
      if tooOld(tonumber(at)) or (mostAppBytes > 0 and left > mostAppBytes) then
        local channel = touched[name]
        if not channel then
          channel = { count = 0, bytes = 0 }
          touched[name] = channel
        end
        channel.count, channel.bytes, channel.last = channel.count + 1, channel.bytes + size, base + slot
        left, done = left - size, done + 1
        leave(base + slot)
      else
        over = true
      end
    end
  end
  flush()
end
for name, channel in pairs(touched) do dropped(name, channel.count, channel.bytes, channel.last) end

while done < limit and mostChannels > 0 and redis.call("ZCARD", key("last")) > mostChannels do
  local found = redis.call("ZRANGE", key("last"), 0, 0, "WITHSCORES")
  if countOf(found[1]) > 0 then
    drop(found[1], function(count) return count > 0 end)
    flush()
  else
    floor = math.max(floor, tonumber(found[2]))
    redis.call("ZREM", key("last"), found[1])
    redis.call("ZREM", key("trimmed"), found[1])
    redis.call("SREM", key("over"), found[1])
    done = done + 1
  end
end

if done < limit then
  for _, name in ipairs(redis.call("ZRANGEBYSCORE", key("until"), "-inf", "(" .. whole(now), "LIMIT", 0, limit - done)) do
    redis.call("HDEL", key("notes"), name)
    redis.call("ZREM", key("until"), name)
    done = done + 1
  end
end
redis.call("HSET", APP, "bytes", whole(appBytes), "floor", whole(floor))
return { whole(done), cursor }
