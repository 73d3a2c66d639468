-- Before every script: the app's record, if it was made under the server that runs this.
local APP = KEYS[1]
local AT = string.sub(APP, 1, -4)

local function key(name)
  return AT .. name
end

-- Numbers are doubles here; tostring would write large ones with an exponent.
local function whole(number)
  return string.format("%.0f", number)
end

-- A restart changes the run id, a failover the replication id; either may bring back an older state.
local function server()
  local replication = redis.call("INFO", "replication")
  if not string.find(replication, "role:master", 1, true) then return nil end
  local run = string.match(redis.call("INFO", "server"), "run_id:(%w+)")
  return run .. string.match(replication, "master_replid:(%w+)")
end

local SERVER = server()
if not SERVER then return redis.error_reply("READONLY this server is a replica") end
local kept =
  redis.call("HMGET", APP, "server", "epoch", "start", "preceding", "ended", "floor", "head", "time", "bytes")
