-- Keeps the publishes that waited for this call, and announces them.
-- ARGV: node, number of the call, now, the time by which ages are judged, life of a key, most messages and most bytes of
-- a channel, prefix of what is announced, number of publishes, then of each: number of drafts, key, digest, subscribers,
-- and of each draft: channel, size, body
local node, call = key("node:" .. ARGV[1]), tonumber(ARGV[2])
local last = redis.call("HMGET", node, "call", "reply")
if last[1] then
  -- The node asks again, because it had no answer: or it has given this call up, and it comes late.
  if tonumber(last[1]) == call then return last[2] end
  if tonumber(last[1]) > call then return redis.error_reply("STALE a later call was first") end
end

local now, age, ttl = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local mostCount, mostBytes, word = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local time = math.max(now, tonumber(kept[8]))
local stamp = whole(time)
local taken, outcomes, fresh = {}, {}, {}
local added = 0
local at = 10

local function known(once, digest)
  local first = fresh[once] or redis.call("GET", key("key:" .. once))
  if not first then return nil end
  local was, itsEpoch, seq, since, subscribers = string.match(first, "^(%S+) (%S+) (%d+) (%d+) (.*)$")
  if ttl > 0 and tonumber(since) + ttl < age then return nil end
  if was ~= digest then return "0" end
  return '["' .. itsEpoch .. '",' .. seq .. "," .. subscribers .. "]"
end

for i = 1, tonumber(ARGV[9]) do
  local count, once, digest, subscribers = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  at = at + 4
  local outcome = once ~= "" and known(once, digest) or nil
  if outcome then
    at = at + 3 * count
  else
    outcome = whole(head + 1)
    if once ~= "" then fresh[once] = digest .. " " .. epoch .. " " .. outcome .. " " .. stamp .. " " .. subscribers end
    for _ = 1, count do
      head = head + 1
      local size = tonumber(ARGV[at + 1])
      added = added + size
      taken[#taken + 1] = { name = ARGV[at], seq = head, size = size, body = ARGV[at + 2] }
      at = at + 3
    end
  end
  outcomes[i] = outcome
end
local reply = '["' .. epoch .. '",[' .. table.concat(outcomes, ",") .. "]]"
if #taken == 0 then return reply end

-- First, so that a fault in what follows uses no position twice.
redis.call("HSET", APP, "head", whole(head), "time", stamp, "bytes", whole(tonumber(kept[9]) + added))
redis.call("HSET", node, "call", ARGV[2], "reply", reply)
redis.call("PEXPIRE", node, 600000)
for once, value in pairs(fresh) do
  -- A minute more than its life, which the node's clock decides.
  if ttl > 0 then redis.call("SET", key("key:" .. once), value, "PX", whole(ttl + 60000))
  else redis.call("SET", key("key:" .. once), value) end
end

local channels, names, texts, buckets = {}, {}, {}, {}
for i, message in ipairs(taken) do
  local name, seq = message.name, whole(message.seq)
  local channel = channels[name]
  if not channel then
    channel = { first = seq, bytes = 0, entries = {} }
    channels[name] = channel
    names[#names + 1] = name
  end
  channel.last = seq
  channel.bytes = channel.bytes + message.size
  channel.entries[#channel.entries + 1] = seq .. " " .. stamp .. " " .. whole(message.size) .. " " .. message.body
  local number = whole(math.floor(message.seq / 64))
  local bucket = buckets[number]
  if not bucket then
    bucket = { key("order:" .. number) }
    buckets[number] = bucket
  end
  bucket[#bucket + 1] = message.seq % 64
  bucket[#bucket + 1] = name
  texts[i] = "[" .. seq .. "," .. stamp .. "," .. message.body .. "]"
end
for number, bucket in pairs(buckets) do
  redis.call("HSET", unpack(bucket))
  redis.call("ZADD", key("order"), number, number)
end
-- One command for much, but not more than 1000 things, since what Lua hands over at once is bounded.
for from = 1, #names, 1000 do
  local to = math.min(from + 999, #names)
  local last, sums = { key("last") }, { key("bytes") }
  local before = redis.call("HMGET", key("bytes"), unpack(names, from, to))
  for i = from, to do
    local name = names[i]
    local channel, had = channels[name], before[i - from + 1]
    local bytes = tonumber(had or "0") + channel.bytes
    last[#last + 1], last[#last + 2] = channel.last, name
    sums[#sums + 1], sums[#sums + 2] = name, whole(bytes)
    if not had then
      redis.call("ZADD", key("first"), channel.first, name)
      redis.call("ZADD", key("names"), 0, name)
    end
    local count
    for at = 1, #channel.entries, 1000 do
      local part = math.min(at + 999, #channel.entries)
      count = redis.call("RPUSH", key("messages:" .. name), unpack(channel.entries, at, part))
    end
    if (mostBytes > 0 and bytes > mostBytes) or (mostCount > 0 and count > mostCount) then
      redis.call("SADD", key("over"), name)
    end
  end
  redis.call("ZADD", unpack(last))
  redis.call("HSET", unpack(sums))
end

-- In the app's order on every channel, and of each call first on the one for all: who hears both passes over the rest.
redis.call("SPUBLISH", word .. "all", '["' .. epoch .. '",' .. table.concat(texts, ",") .. "]")
local from = 1
for i = 1, #taken do
  if i == #taken or taken[i + 1].name ~= taken[i].name then
    redis.call("SPUBLISH", word .. "channel:" .. taken[i].name, '["' .. epoch .. '",' .. table.concat(texts, ",", from, i) .. "]")
    from = i + 1
  end
end
return reply
