local function matcher(names, patterns)
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  return function(name)
    local matches = known[name]
    if matches == nil then
      matches = false
      for _, pattern in ipairs(patterns) do
        if string.find(name, pattern) then
          matches = true
          break
        end
      end
      known[name] = matches
    end
    return matches
  end
end

local function slice(from, count)
  local part = {}
  for i = 1, count do part[i] = ARGV[from + i - 1] end
  return part
end

-- The lowest score above one of a name that matches, among the next so many names: then where the look ended, or nil at
-- the end of all.
local function lowest(set, after, matches, count)
  local found = redis.call("ZRANGEBYSCORE", key(set), "(" .. whole(after), "+inf", "WITHSCORES", "LIMIT", 0, count)
  for i = 1, #found, 2 do
    if matches(found[i]) then return tonumber(found[i + 1]), nil end
  end
  if #found < 2 * count then return nil, nil end
  return nil, tonumber(found[#found])
end

local function scores(set, names)
  local found = {}
  for from = 1, #names, 1000 do
    local part = redis.call("ZMSCORE", key(set), unpack(names, from, math.min(from + 999, #names)))
    for i = 1, #part do found[from + i - 1] = part[i] and tonumber(part[i]) end
  end
  return found
end

-- A channel's messages are a list, oldest first: "<seq> <time> <size> <body>". A stream would take 4 KiB for the first.
local function parsed(entry)
  local seq, time, size, body = string.match(entry, "^(%d+) (%d+) (%d+) (.*)$")
  return tonumber(seq), time, tonumber(size), body
end

-- The place in the list of the first message after a seq. Looked for from the newest end, where most who ask stand.
local function placeAfter(list, seq)
  local function isAfter(place) return tonumber(string.match(redis.call("LINDEX", list, place), "^%d+")) > seq end
  local high, step = redis.call("LLEN", list), 1
  while high > 0 do
    local place = math.max(0, high - step)
    if isAfter(place) then
      high, step = place, step * 2
    else
      local low = place + 1
      while low < high do
        local middle = math.floor((low + high) / 2)
        if isAfter(middle) then high = middle else low = middle + 1 end
      end
      return low
    end
  end
  return 0
end

-- Finds single messages; those of one channel are asked for in order.
local function finder()
  local places = {}
  return function(name, seq)
    local list = key("messages:" .. name)
    local place = places[name] or placeAfter(list, seq - 1)
    local entry = redis.call("LINDEX", list, place)
    if not entry then return nil end
    places[name] = place + 1
    return parsed(entry)
  end
end

-- Messages of some channels in the app's order, either way. What is fetched ahead of one channel grows as it is used: a
-- few large messages of each of many channels would be megabytes.
local function merge(names, from, backward, visit)
  local cursors = {}
  local first = #names == 1 and 16 or math.max(1, math.floor(64 / math.max(1, #names)))
  local function fetch(cursor)
    local place, count = cursor.place, cursor.count
    cursor.count = math.min(64, count * 2)
    cursor.i = 1
    if not backward then
      cursor.entries = redis.call("LRANGE", cursor.list, place, place + count - 1)
      cursor.place = place + count
      return
    end
    cursor.entries, cursor.place = {}, place - count
    if place < 0 then return end
    local found = redis.call("LRANGE", cursor.list, math.max(0, place - count + 1), place)
    for i = #found, 1, -1 do cursor.entries[#found - i + 1] = found[i] end
  end
  local function advance(cursor)
    cursor.i = cursor.i + 1
    if cursor.i > #cursor.entries then fetch(cursor) end
    local entry = cursor.entries[cursor.i]
    if not entry then return false end
    cursor.seq = tonumber(string.match(entry, "^%d+"))
    return true
  end
  for _, name in ipairs(names) do
    local list = key("messages:" .. name)
    local place = backward and placeAfter(list, from - 1) - 1 or placeAfter(list, from)
    local cursor = { list = list, place = place, count = first, entries = {}, i = 0 }
    if advance(cursor) then cursors[#cursors + 1] = cursor end
  end
  while #cursors > 0 do
    local next = 1
    for i = 2, #cursors do
      if (cursors[i].seq < cursors[next].seq) ~= backward then next = i end
    end
    local cursor = cursors[next]
    if not visit(parsed(cursor.entries[cursor.i])) then return false end
    if not advance(cursor) then table.remove(cursors, next) end
  end
  return true
end

-- The channel of each message in one bucket of the app's order.
local function bucketOf(number)
  local flat, channels = redis.call("HGETALL", key("order:" .. number)), {}
  for i = 1, #flat, 2 do channels[tonumber(flat[i])] = flat[i + 1] end
  return channels
end
