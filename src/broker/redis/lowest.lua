-- Goes on with a look that a read could not take to its end. ARGV: set, after, names, patterns as in a read
local names, patterns = tonumber(ARGV[3]), tonumber(ARGV[4])
local matches = matcher(slice(5, names), slice(5 + names, patterns))
local seq, cursor = lowest(ARGV[1], tonumber(ARGV[2]), matches, 1000)
return { whole(seq or 0), whole(cursor or -1), kept[6] }
