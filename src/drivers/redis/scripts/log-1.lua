-- Appends log lines of running tasks to the stream, one entry per task.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2…] lines of one task: {id, fence, log} (JSON)
--
-- Returns {epoch}.
local now = epoch(ARGV[1])
for i = 2, #ARGV do redis.call('XADD', EVENTS, '*', 'l', ARGV[i]) end
return {now}
