-- Appends jobs to their lanes. One that is known at its fence or a later one is left as it is; a later one takes the place
-- of an earlier, queued or leased. In a life of the data that has not been told of limits and pauses, none is taken.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  the life that has been told of limits and pauses; '': any
-- ARGV[3]  what the signal says: who sends them, how many are any worker's, how many suspects'
-- ARGV[4…] per lane: line, owner, "FENCE ID" of its jobs, their messages; the latter two a line each
--
-- Returns {epoch}, and 0 behind it where none is taken. Signals work.
local now = epoch(ARGV[1])
if ARGV[2] ~= '' and ARGV[2] ~= now then return {now, 0} end
local lanes, ids = {}, {}
for i = 4, #ARGV, 4 do
  local lane = {line = ARGV[i], owner = ARGV[i + 1], name = ARGV[i] .. '|' .. ARGV[i + 1], messages = {}, entries = {}}
  lane.fences, lane.ids = refs_of(ARGV[i + 2])
  for _, id in ipairs(lane.ids) do ids[#ids + 1] = id end
  for message in string.gmatch(ARGV[i + 3], '[^\n]+') do lane.messages[#lane.messages + 1] = message end
  lanes[#lanes + 1] = lane
end
local found = get_all(JOBS, ids)
local known = {}
for i, id in ipairs(ids) do known[id] = known[id] or found[i] end

local jobs, left = {}, {}
for _, lane in ipairs(lanes) do
  local queued = ' q ' .. lane.name .. '\n'
  for i, id in ipairs(lane.ids) do
    local fence = lane.fences[i]
    local earlier, state, where
    if known[id] then earlier, state, where = parse(known[id]) end
    if not earlier or tonumber(earlier) < tonumber(fence) then
      if state == 'q' then left[#left + 1] = where end
      if state == 'l' or state == 'c' then
        redis.call('HDEL', HELD .. where, id)
        vacate(known[id])
      end
      known[id] = fence .. queued .. lane.messages[i]
      jobs[#jobs + 1] = id
      jobs[#jobs + 1] = known[id]
      lane.entries[#lane.entries + 1] = fence .. ' ' .. id
    end
  end
end
if #jobs == 0 then return {now} end

each_thousand('HSET', JOBS, jobs)
for _, lane in ipairs(lanes) do
  if #lane.entries > 0 then
    if redis.call('EXISTS', LANE .. lane.name) == 0 then redis.call('RPUSH', TURNS .. lane.line, lane.owner) end
    each_thousand('RPUSH', LANE .. lane.name, lane.entries)
    redis.call('ZADD', lines_of(lane.line), 'NX', redis.call('HINCRBY', META, 'line_turn', 1), lane.line)
  end
end
for _, lane in ipairs(left) do leave_hole(lane) end
signal('w', ARGV[3])
return {now}
