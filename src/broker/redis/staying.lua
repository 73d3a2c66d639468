-- In a slot that is on its way to another server, a key that is not there is an error: met here, before anything is
-- written, and not when half of it is.
redis.call("EXISTS", key("none"))
