-- A worker says that it lives and what it holds. Where the data has begun another life, what it holds is taken on again;
-- what it was sent and never got goes back.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  worker
-- ARGV[3]  the epoch that it knew before; '': none
-- ARGV[4]  now, in milliseconds; '': the server's clock
-- ARGV[5]  when, in milliseconds, as events are to say
-- ARGV[6]  what was sent so long ago and is not named goes back, in milliseconds
-- ARGV[7]  what it says of itself (JSON); '': nothing
-- ARGV[8]  "FENCE ID" of each job that it holds, a line each; " TASK|OWNER" may follow
--
-- Returns {epoch, now, ids to be cancelled, "FENCE ID" of leases that are lost}.
despite_full_memory()
local this = life(ARGV[1], redis.call('INFO', 'server'))
local worker = ARGV[2]
local forgotten = ARGV[3] ~= '' and ARGV[3] ~= this
local now = clock(ARGV[4])
redis.call('ZADD', WORKERS, now, worker)
if ARGV[7] ~= '' then redis.call('HSET', CREW, worker, ARGV[7]) end

local fences, ids = refs_of(ARGV[8])
local whose = {}
for i, text in ipairs(ids) do ids[i], whose[i] = string.match(text, '^(%S+) ?(.*)$') end
local found = get_all(JOBS, ids)
local cancelled, lost, said = {}, {}, {}
for i, id in ipairs(ids) do
  local fence, who = fences[i], whose[i]
  local at, state, where
  if found[i] then at, state, where = parse(found[i]) end
  local same = at == fence
  said[id] = true
  if same and (state == 'l' or state == 'c') and where == worker then
    if state == 'c' then cancelled[#cancelled + 1] = id end
  elseif forgotten and (not found[i] or (same and state == 'q')) then
    if state == 'q' then who = who_of(where) end
    redis.call('HSET', JOBS, id, fence .. ' l ' .. worker .. '\n' .. who)
    redis.call('HSET', HELD .. worker, id, fence .. ' ' .. now)
    if state == 'q' then leave_hole(where) end
    occupy(who)
  else
    lost[#lost + 1] = fence .. ' ' .. id
  end
end

local held = redis.call('HGETALL', HELD .. worker)
for i = 1, #held, 2 do
  local id = held[i]
  local fence, since = part(held[i + 1])
  if tonumber(since) > now then
    -- The clock has gone back: it was sent just now.
    redis.call('HSET', HELD .. worker, id, fence .. ' ' .. now)
  elseif not said[id] and now - tonumber(since) > tonumber(ARGV[6]) then
    redis.call('HDEL', HELD .. worker, id)
    give_up(id, fence)
    emit({'r', ARGV[5] .. ' ' .. fence .. ' ' .. id})
  end
end
tell_freed()
return {this, now, cancelled, lost}
