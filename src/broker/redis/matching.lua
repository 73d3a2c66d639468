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

-- Messages of some channels in the app's order, either way. What is fetched ahead of one channel grows as it is used: a
-- few large messages of each of many channels would be megabytes.
local function merge(names, from, backward, visit)
  local cursors = {}
  local first = #names == 1 and 16 or math.max(1, math.floor(64 / math.max(1, #names)))
  local function fetch(cursor)
    local entries
    if backward then entries = redis.call("XREVRANGE", cursor.key, whole(cursor.seq - 1), "-", "COUNT", cursor.count)
    else entries = redis.call("XRANGE", cursor.key, whole(cursor.seq + 1), "+", "COUNT", cursor.count) end
    cursor.count = math.min(64, cursor.count * 2)
    cursor.entries, cursor.i = entries, 0
  end
  local function advance(cursor)
    cursor.i = cursor.i + 1
    if cursor.i > #cursor.entries then
      fetch(cursor)
      cursor.i = 1
    end
    local entry = cursor.entries[1] and cursor.entries[cursor.i]
    if not entry then return false end
    cursor.seq = tonumber(string.match(entry[1], "^%d+"))
    return true
  end
  for _, name in ipairs(names) do
    local cursor = { key = key("messages:" .. name), seq = from, count = first, entries = {}, i = 0 }
    if advance(cursor) then cursors[#cursors + 1] = cursor end
  end
  while #cursors > 0 do
    local next = 1
    for i = 2, #cursors do
      if (cursors[i].seq < cursors[next].seq) ~= backward then next = i end
    end
    local cursor = cursors[next]
    if not visit(cursor.seq, cursor.entries[cursor.i][2]) then return false end
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
