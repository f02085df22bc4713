-- At which fence jobs are known.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2…] ids
--
-- Returns {epoch, fence …}; -1: not at all.
local ids = {}
for i = 2, #ARGV do ids[i - 1] = ARGV[i] end
local answer = {epoch(ARGV[1])}
for i, job in ipairs(get_all(JOBS, ids)) do
  answer[i + 1] = job and string.match(job, '^%d+') or '-1'
end
return answer
