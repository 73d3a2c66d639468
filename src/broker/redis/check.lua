-- Whether a publish would be taken: only a write shows it. ARGV: node
redis.call("SET", key("check:" .. ARGV[1]), "1", "PX", 10000)
return "1"
