-- Events are stored: they go, and so do the jobs that they ended.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  the life that they are of: in another one nothing goes
-- ARGV[3]  the first entry of the stream that stays
-- ARGV[4]  so many entries had stopped claims
-- ARGV[5]  "FENCE ID" of each job that ended, a line each
--
-- Returns {epoch}. Signals work where claims had stopped.
local now = epoch(ARGV[1])
if now ~= ARGV[2] then return {now} end
local fences, ids = refs_of(ARGV[5])
local jobs = get_all(JOBS, ids)
local gone = {}
for i, id in ipairs(ids) do
  if jobs[i] == fences[i] .. ' s' then gone[#gone + 1] = id end
end
each_thousand('HDEL', JOBS, gone)
local before = redis.call('XLEN', EVENTS)
redis.call('XTRIM', EVENTS, 'MINID', '=', ARGV[3])
local max = tonumber(ARGV[4])
if before >= max and redis.call('XLEN', EVENTS) < max then signal('w', '') end
return {now}
