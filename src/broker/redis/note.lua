-- Keeps a note and tells every node. ARGV: key, value, until, channel to announce it on, what is announced
redis.call("HSET", key("notes"), ARGV[1], ARGV[3] .. " " .. ARGV[2])
redis.call("ZADD", key("until"), ARGV[3], ARGV[1])
redis.call("SPUBLISH", ARGV[4], ARGV[5])
return "1"
