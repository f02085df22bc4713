-- Takes queued jobs out and tells the holders of running ones.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2…] ids
--
-- Returns {epoch}. Signals ids of running jobs.
despite_full_memory()
local now = epoch(ARGV[1])
local ids = {}
for i = 2, #ARGV do ids[i - 1] = ARGV[i] end
local jobs = get_all(JOBS, ids)
local running = {}
for i, id in ipairs(ids) do
  local fence, state, where
  if jobs[i] then fence, state, where = parse(jobs[i]) end
  -- An id that is named twice is done the first time.
  if state == 'q' and redis.call('HDEL', JOBS, id) == 1 then
    leave_hole(where)
  elseif state == 'l' or state == 'c' then
    redis.call('HSET', JOBS, id, fence .. ' c ' .. where .. string.match(jobs[i], '\n.*$'))
    running[#running + 1] = id
  end
end
if #running > 0 then signal('c', cjson.encode(running)) end
return {now}
