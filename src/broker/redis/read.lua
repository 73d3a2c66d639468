-- Pages after positions, each one look; all of them one as well. What does not fit any more is answered with "".
-- ARGV: number of reads, then of each: epoch, seq, limit, number of names, number of patterns, names, patterns
local PAGE_BYTES = 131072
-- Of one call: data that is answered, and steps of some microseconds.
local MOST_BYTES = 524288
local MOST_STEPS = 1500
-- Of so many channels a page is merged; of more it is found by passing over the app's messages.
local FEW = 64
local LOOKS = 1000

local start, preceding, ended, floor = tonumber(kept[3]), kept[4], tonumber(kept[5] or "0"), tonumber(kept[6])
local steps, sent = 0, 0

local function beginning(itsEpoch, seq)
  if itsEpoch == "" then return 0, "unknown_position" end
  if itsEpoch ~= epoch then
    if itsEpoch == preceding then return math.min(seq, ended), "epoch" end
    return start, "epoch"
  end
  if seq > head then return head, "unknown_position" end
  return seq, nil
end

-- The selection's channels that were published to after `from`: with patterns only where they are few, else nil.
local function activeAfter(from, names, patterns, matches)
  local active, last = {}, 0
  if #patterns == 0 then
    local all = scores("last", names)
    for i, name in ipairs(names) do
      if all[i] and all[i] > from then
        active[#active + 1] = name
        last = math.max(last, all[i])
      end
    end
    return active, last
  end
  local found = redis.call("ZRANGEBYSCORE", key("last"), "(" .. whole(from), "+inf", "WITHSCORES", "LIMIT", 0, FEW + 1)
  if #found > 2 * FEW then return nil, 0 end
  for i = 1, #found, 2 do
    if matches(found[i]) then
      active[#active + 1] = found[i]
      last = math.max(last, tonumber(found[i + 1]))
    end
  end
  return active, last
end

-- Whether a channel lost something after `from`; where that could not be looked at to the end, from where on.
local function trimmedAfter(from, active, patterns, matches)
  if active then
    for _, seq in pairs(scores("trimmed", active)) do
      if seq and seq > from then return true, nil end
    end
    return false, nil
  end
  local seq, cursor = lowest("trimmed", from, matches, LOOKS)
  steps = steps + LOOKS / 10
  return seq ~= nil, cursor
end

-- The oldest that is kept; 0 for nothing, and where that could not be looked at to the end, from where on.
local function oldestOf(names, patterns, matches)
  if #patterns > 0 then
    steps = steps + LOOKS / 10
    local seq, cursor = lowest("first", 0, matches, LOOKS)
    return seq or 0, cursor
  end
  local oldest = 0
  for _, seq in pairs(scores("first", names)) do
    if seq and (oldest == 0 or seq < oldest) then oldest = seq end
  end
  return oldest, nil
end

local function pageAfter(itsEpoch, seq, limit, names, patterns)
  local from, reason = beginning(itsEpoch, seq)
  local matches = matcher(names, patterns)
  local active, last = activeAfter(from, names, patterns, matches)
  local messages, bytes, through = {}, 0, head
  local full = false

  local function add(seq, time, size, body)
    steps = steps + 1
    if #messages == limit or (#messages > 0 and bytes + size > PAGE_BYTES) then
      full = true
      return false
    end
    bytes = bytes + size
    sent = sent + #body
    messages[#messages + 1] = "[" .. whole(seq) .. "," .. time .. "," .. body .. "]"
    through = seq
    return true
  end

  if active == nil then
    local most = math.max(4, math.floor(64 / (1 + #patterns / 4)))
    local numbers = redis.call("ZRANGEBYSCORE", key("order"), whole(math.floor((from + 1) / 64)), "+inf", "LIMIT", 0, most)
    local passed, find = head, finder()
    for _, number in ipairs(numbers) do
      steps = steps + 10
      local channels, base = bucketOf(number), tonumber(number) * 64
      for slot = 0, 63 do
        local name = channels[slot]
        if not full and name and base + slot > from and matches(name) then
          add(find(name, base + slot))
        end
      end
      if full then break end
      passed = base + 63
    end
    if not full then through = #numbers < most and head or math.min(head, passed) end
  elseif #active > 0 then
    steps = steps + #active
    merge(active, from, false, add)
    if last <= through then full = false end
    if not full then through = head end
  end

  local check, oldest, oldestCheck = nil, 0, nil
  if not reason then
    local lost
    lost, check = trimmedAfter(from, active, patterns, matches)
    if lost then reason = "trimmed" elseif from < floor then reason = "unproven" end
  end
  if reason or check then oldest, oldestCheck = oldestOf(names, patterns, matches) end
  return string.format(
    '[%s,"%s",%s,%s,%s,%s,[%s]]',
    whole(from), reason or "", whole(through), whole(check or -1), whole(oldest), whole(oldestCheck or -1),
    table.concat(messages, ",")
  )
end

local reply = { '["' .. epoch .. '",' .. whole(head) .. "]" }
local at = 2
for i = 1, tonumber(ARGV[1]) do
  local names, patterns = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  if i > 1 and (steps > MOST_STEPS or sent > MOST_BYTES) then
    reply[i + 1] = ""
  else
    steps = steps + 1
    reply[i + 1] = pageAfter(
      ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]),
      slice(at + 5, names), slice(at + 5 + names, patterns)
    )
  end
  at = at + 5 + names + patterns
end
return reply
