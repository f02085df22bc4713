-- Events are stored: they go, and so do the jobs that they ended.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  the first entry of the stream that stays
-- ARGV[3]  so many entries had stopped claims
-- ARGV[4…] per job that ended: id, fence
--
-- Returns {epoch}. Signals work where claims had stopped.
local now = epoch(ARGV[1])
local ids = {}
for i = 4, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local jobs = get_all(JOBS, ids)
local gone = {}
for i, id in ipairs(ids) do
  if jobs[i] == ARGV[2 + i * 2 + 1] .. ' s' then gone[#gone + 1] = id end
end
each_thousand('HDEL', JOBS, gone)
local before = redis.call('XLEN', EVENTS)
redis.call('XTRIM', EVENTS, 'MINID', '=', ARGV[2])
local max = tonumber(ARGV[3])
if before >= max and redis.call('XLEN', EVENTS) < max then signal('w', '') end
return {now}
