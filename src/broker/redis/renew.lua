-- Begins a new epoch where the app has none, or one that was made under another server. Two nodes may ask at once.
-- ARGV: epoch, prefix of what is announced
if kept[1] == SERVER then return kept[2] end
local fresh = { "server", SERVER, "epoch", ARGV[1] }
if kept[2] then
  for _, part in ipairs({ "start", kept[7], "preceding", kept[2], "ended", kept[7] }) do fresh[#fresh + 1] = part end
else
  for _, name in ipairs({ "start", "floor", "head", "time", "bytes" }) do
    fresh[#fresh + 1] = name
    fresh[#fresh + 1] = "0"
  end
end
redis.call("HSET", APP, unpack(fresh))
redis.call("SPUBLISH", ARGV[2] .. "word", '["epoch","' .. ARGV[1] .. '"]')
return ARGV[1]
