-- Ends leases: an outcome becomes an event iff the worker holds that dispatch. Where the data has begun another life since
-- the claim, the lease is forgotten and not lost: then an outcome is taken unless something else is known of its dispatch.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  worker
-- ARGV[3]  the epoch in which the jobs were claimed; '': this one
-- ARGV[4]  "FENCE ID" of each outcome, a line each
-- ARGV[5]  the outcomes, as a JSON array in the same order
--
-- Returns {epoch, taken}: a text with 1 or 0 for each outcome.
despite_full_memory()
local now = epoch(ARGV[1])
local worker = ARGV[2]
local forgotten = ARGV[3] ~= '' and ARGV[3] ~= now
local fences, ids = refs_of(ARGV[4])
local found = get_all(JOBS, ids)

-- Of jobs that this call has ended: one that comes twice ends once.
local ended = {}
-- Whether an outcome is taken without a lease, and what that does away with.
local function takes_forgotten(id, fence, entry)
  if not entry then return true end
  local at, state, where = parse(entry)
  if at ~= fence or state == 's' then return false end
  if state == 'q' then
    ended[#ended + 1] = where
  else
    redis.call('HDEL', HELD .. where, id)
    vacate(entry)
  end
  return true
end

local mine, asked = {}, {}
local taken, jobs, settled, gone, count = {}, {}, {}, {}, 0
for i, id in ipairs(ids) do
  local fence = fences[i]
  if not mine[fence] then
    mine[fence] = fence .. ' l ' .. worker .. '\n'
    asked[fence] = fence .. ' c ' .. worker .. '\n'
  end
  local takes = not gone[id] and found[i] and (begins(found[i], mine[fence]) or begins(found[i], asked[fence]))
  if takes then vacate(found[i]) end
  if not takes and not gone[id] and forgotten then takes = takes_forgotten(id, fence, found[i]) end
  taken[i] = takes and '1' or '0'
  if takes then
    gone[id] = true
    count = count + 1
    settled[count] = id
    jobs[count * 2 - 1] = id
    jobs[count * 2] = fence .. ' s'
  end
end
taken = table.concat(taken)
if count > 0 then
  each_thousand('HSET', JOBS, jobs)
  each_thousand('HDEL', HELD .. worker, settled)
  for _, lane in ipairs(ended) do leave_hole(lane) end
  tell_freed()
  redis.call('XADD', EVENTS, '*', 'm', count == #ids and '' or taken, 'o', ARGV[5])
end
return {now, taken}
