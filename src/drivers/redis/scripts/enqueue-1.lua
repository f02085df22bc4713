-- Appends jobs to their lanes. One that is known at its fence or a later one is left as it is; a later one takes the place
-- of an earlier, queued or leased.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  who sends them: its own signals it need not heed
-- ARGV[3…] per job: id, fence, line, owner, message (JSON)
--
-- Returns {epoch}. Signals work.
local now = epoch(ARGV[1])
local ids = {}
for i = 3, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
local found = get_all(JOBS, ids)
local known = {}
for i, id in ipairs(ids) do known[id] = known[id] or found[i] end

local jobs, messages, lanes, order, left = {}, {}, {}, {}, {}
for i = 3, #ARGV, 5 do
  local id, fence, line, owner, message = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local earlier, state, where
  if known[id] then earlier, state, where = parse(known[id]) end
  if not earlier or tonumber(earlier) < tonumber(fence) then
    if state == 'q' then left[#left + 1] = where end
    if state == 'l' or state == 'c' then redis.call('HDEL', HELD .. where, id) end
    local lane = line .. '|' .. owner
    local entry = fence .. ' q ' .. lane
    known[id] = entry
    jobs[#jobs + 1] = id
    jobs[#jobs + 1] = entry
    messages[#messages + 1] = id
    messages[#messages + 1] = message
    if not lanes[lane] then
      lanes[lane] = {}
      order[#order + 1] = lane
    end
    local entries = lanes[lane]
    entries[#entries + 1] = fence .. ' ' .. id
  end
end
if #jobs == 0 then return {now} end

each_thousand('HSET', JOBS, jobs)
each_thousand('HSET', MESSAGES, messages)
for _, lane in ipairs(order) do
  local line, owner = split(lane)
  if redis.call('EXISTS', LANE .. lane) == 0 then redis.call('RPUSH', TURNS .. line, owner) end
  each_thousand('RPUSH', LANE .. lane, lanes[lane])
  redis.call('ZADD', lines_of(line), 'NX', redis.call('HINCRBY', META, 'line_turn', 1), line)
end
for _, lane in ipairs(left) do leave_hole(lane) end
signal('w', ARGV[2])
return {now}
