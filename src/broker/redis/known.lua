if kept[1] ~= SERVER then return "renew" end
local epoch, head = kept[2], tonumber(kept[7])
