-- ARGV: channel to announce it on, or nothing; number of the mark
if ARGV[1] ~= "" then redis.call("SPUBLISH", ARGV[1], '["' .. epoch .. '",' .. whole(head) .. "," .. ARGV[2] .. "]") end
return { epoch, whole(head) }
