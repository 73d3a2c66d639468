-- Channels that hold history, by name: name, oldest, newest of each. ARGV: least and most as ZRANGEBYLEX takes them, limit
local names = redis.call("ZRANGEBYLEX", key("names"), ARGV[1], ARGV[2], "LIMIT", 0, ARGV[3])
local reply = { epoch }
for i, seq in ipairs(scores("first", names)) do
  reply[#reply + 1] = names[i]
  reply[#reply + 1] = whole(seq)
end
for _, seq in ipairs(scores("last", names)) do reply[#reply + 1] = whole(seq) end
return reply
