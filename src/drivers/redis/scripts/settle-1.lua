-- Ends leases: an outcome becomes an event iff the worker holds that dispatch. Where the data has begun another life since
-- the claim, the lease is forgotten and not lost: then an outcome is taken unless something else is known of its dispatch.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  worker
-- ARGV[3]  the epoch in which the jobs were claimed; '': this one
-- ARGV[4…] per outcome: id, fence, outcome (JSON)
--
-- Returns {epoch, taken}: a text with 1 or 0 for each outcome.
local now = epoch(ARGV[1])
local worker = ARGV[2]
local forgotten = ARGV[3] ~= '' and ARGV[3] ~= now
local ids = {}
for i = 4, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
local found = get_all(JOBS, ids)
local known = {}
for i, id in ipairs(ids) do known[id] = known[id] or found[i] end

local taken, jobs, events, ended, left = {}, {}, {}, {}, {}
for i = 4, #ARGV, 3 do
  local id, fence = ARGV[i], ARGV[i + 1]
  local at, state, where
  if known[id] then at, state, where = parse(known[id]) end
  local same = at == fence
  local takes = same and (state == 'l' or state == 'c') and where == worker
  if not takes and forgotten then
    takes = not known[id] or (same and state ~= 's')
    if takes and state == 'q' then left[#left + 1] = {id, where} end
    if takes and (state == 'l' or state == 'c') then redis.call('HDEL', HELD .. where, id) end
  end
  taken[#taken + 1] = takes and '1' or '0'
  if takes then
    known[id] = fence .. ' s'
    jobs[#jobs + 1] = id
    jobs[#jobs + 1] = known[id]
    ended[#ended + 1] = id
    events[#events + 1] = 'o'
    events[#events + 1] = ARGV[i + 2]
  end
end
if #jobs > 0 then
  each_thousand('HSET', JOBS, jobs)
  each_thousand('HDEL', HELD .. worker, ended)
  for _, each in ipairs(left) do
    redis.call('HDEL', MESSAGES, each[1])
    leave_hole(each[2])
  end
  emit(events)
end
return {now, table.concat(taken)}
