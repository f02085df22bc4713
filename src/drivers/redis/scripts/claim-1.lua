-- Moves jobs from their lanes into a worker's hands, under a lease, with one `started` event each. Priorities, tasks of one
-- priority and owners of one task take turns. What is paused is passed by, and so is a task that has reached its limit; an owner
-- who has reached his is parked until one of his ends.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  worker
-- ARGV[3]  now, in milliseconds; '': the server's clock
-- ARGV[4]  when they start, in milliseconds, as the event is to say
-- ARGV[5]  at most so many
-- ARGV[6]  s: any worker's; a: suspects only
-- ARGV[7]  so many unrecorded entries of the stream stop claims
-- ARGV[8]  how many tasks the worker serves; their names follow
-- ARGV[…]  the queues that it serves; none: all of them
--
-- Returns {epoch, more, wait, id and entry in JOBS of each}, the entries as they stood before. more: 1 where so many holes were
-- skipped that it stopped before it had enough; wait: after so many milliseconds there is more to be had, 0: nobody knows when.
local SKIP_MAX = 2000
local LINES_MAX = 2000
-- High four times, normal twice, low once; a priority without work passes its turn on.
local PATTERN = {'high', 'normal', 'high', 'low', 'high', 'normal', 'high'}

despite_full_memory()
local now = epoch(ARGV[1])
local worker, max, kind = ARGV[2], tonumber(ARGV[5]), ARGV[6]
if redis.call('XLEN', EVENTS) >= tonumber(ARGV[7]) then return {now, 0, 0} end
local tasks, queues = {}, nil
local last = 8 + tonumber(ARGV[8])
for i = 9, last do tasks[ARGV[i]] = true end
for i = last + 1, #ARGV do
  queues = queues or {}
  queues[ARGV[i]] = true
end

-- What has been taken so far, in the order in which it is to run. Lists by what is known of a job, here and of one owner's
-- share, for a table of each job would take longer than all else.
local function new_jobs() return {ids = {}, entries = {}, texts = {}, leases = {}} end
local taken, skipped = new_jobs(), 0
local at = clock(ARGV[3])

-- By task: how many more of it may be taken (none: any number), and what its bucket holds.
local rooms, buckets = {}, {}
-- In so many milliseconds one more token comes, or it is known again what runs.
local wait = 0
local function wait_for(ms)
  if wait == 0 or ms < wait then wait = ms end
end

-- The bucket of a task; a clock that has gone back brings nothing.
local function refill(name, found)
  local tokens, since = string.match(redis.call('HGET', RATES, name) or '', '^(%S+) (%S+)$')
  if not tokens then return found.burst end
  return math.min(found.burst, tonumber(tokens) + math.max(0, at - tonumber(since)) / found.token_ms)
end

-- How many more of a task may be taken.
local function room_of(name)
  local found = limits_of(name)
  if not found then return max end
  if rooms[name] then return rooms[name] end
  local room = max
  if counted(name) then
    local hold = tonumber(redis.call('HGET', META, 'hold') or '0') - at
    if hold > 0 then
      wait_for(hold)
      room = 0
    elseif found.concurrency > 0 then
      room = math.max(0, found.concurrency - tonumber(redis.call('HGET', BUSY, name) or '0'))
    end
  end
  if found.token_ms > 0 and room > 0 then
    buckets[name] = refill(name, found)
    local whole = math.floor(buckets[name])
    if whole < room then wait_for(math.max(1, math.ceil((whole + 1 - buckets[name]) * found.token_ms))) end
    room = math.min(room, whole)
  end
  rooms[name] = room
  return room
end

-- So many of a task have been taken.
local function took(name, got)
  if rooms[name] then rooms[name] = rooms[name] - got end
  if buckets[name] then buckets[name] = buckets[name] - got end
end

-- How many more of one owner may be taken: any number where nothing is said of it.
local function room_of_owner(name, owner)
  local found = limits_of(name)
  if not found or found.per_user == 0 then return math.huge end
  return found.per_user - tonumber(redis.call('HGET', BUSY, name .. '|' .. owner) or '0')
end

-- An owner has reached his limit: he stands in this line again once one of his ends.
local function park(line, owner)
  local who = who_of(line .. '|' .. owner)
  local lines = redis.call('HGET', PARKED, who)
  redis.call('HSET', PARKED, who, lines and (lines .. '\n' .. line) or line)
end

-- Up to `want` more jobs of one owner's share, without the holes of his lane. Returns how many.
local function pop(share, want)
  local jobs, got = share.jobs, 0
  while got < want and skipped < SKIP_MAX do
    local popped = redis.call('LPOP', LANE .. share.lane, want - got)
    if not popped or #popped == 0 then break end
    local fences, ids, holes = {}, {}, 0
    for i, entry in ipairs(popped) do fences[i], ids[i] = part(entry) end
    for i, text in ipairs(get_all(JOBS, ids)) do
      local fence = fences[i]
      if not share.heads[fence] then
        share.heads[fence] = fence .. ' q ' .. share.lane .. '\n'
        share.leases[fence] = fence .. ' l ' .. worker .. '\n' .. share.who
      end
      if text and begins(text, share.heads[fence]) then
        got = got + 1
        local n = #jobs.ids + 1
        jobs.ids[n], jobs.entries[n], jobs.texts[n], jobs.leases[n] = ids[i], popped[i], text, share.leases[fence]
        if share.counts then count(share.who, 1) end
      else
        holes = holes + 1
      end
    end
    if holes > 0 then
      skipped = skipped + holes
      redis.call('HINCRBY', HOLES, share.lane, -holes)
    end
  end
  return got
end

-- Up to `want` jobs of one line; its owners take turns.
local function take_line(line, name, want)
  local owners = redis.call('LPOP', TURNS .. line, want)
  if not owners then return 0 end
  local shares, active, left = {}, {}, want
  for i, owner in ipairs(owners) do
    local room = room_of_owner(name, owner)
    if room > 0 then
      local lane = line .. '|' .. owner
      local who = who_of(lane)
      local share = {owner = owner, lane = lane, who = who, counts = counted(who) ~= nil, at = i, room = room, heads = {}, leases = {}}
      share.jobs = new_jobs()
      shares[#shares + 1] = share
      active[#active + 1] = share
    else
      park(line, owner)
      skipped = skipped + 1
    end
  end
  while left > 0 and #active > 0 do
    local each = math.max(1, math.floor(left / #active))
    local still = {}
    for _, share in ipairs(active) do
      local ask = math.min(each, left, share.room - #share.jobs.ids)
      local got = ask > 0 and pop(share, ask) or 0
      left = left - got
      if ask > 0 and got == ask then still[#still + 1] = share end
    end
    active = still
  end
  -- One of each in turn, as they are to run.
  local n, round, before = #taken.ids, 1, nil
  local first = n
  repeat
    before = n
    for _, share in ipairs(shares) do
      local jobs = share.jobs
      if jobs.ids[round] then
        n = n + 1
        taken.ids[n], taken.entries[n] = jobs.ids[round], jobs.entries[round]
        taken.texts[n], taken.leases[n] = jobs.texts[round], jobs.leases[round]
      end
    end
    round = round + 1
  until n == before
  -- To the end of the line, those who got less first.
  table.sort(shares, function(a, b)
    if #a.jobs.ids ~= #b.jobs.ids then return #a.jobs.ids < #b.jobs.ids end
    return a.at < b.at
  end)
  for _, share in ipairs(shares) do
    if redis.call('EXISTS', LANE .. share.lane) == 1 then
      if #share.jobs.ids < share.room then redis.call('RPUSH', TURNS .. line, share.owner) else park(line, share.owner) end
    else
      redis.call('HDEL', HOLES, share.lane)
    end
  end
  return n - first
end

-- Up to `want` jobs of one priority; its lines take turns.
local function take(priority, want)
  if want == 0 then return 0 end
  local set = LINES .. kind .. '|' .. priority
  local served = {}
  local crowded = redis.call('ZCARD', set) > LINES_MAX
  for _, line in ipairs(redis.call('ZRANGE', set, 0, LINES_MAX - 1)) do
    local queue, name = string.match(line, '^%a|%a+|([^|]*)|(.*)$')
    local found = limits_of(name)
    if tasks[name] and (not queues or queues[queue]) and not queue_paused(queue) and not (found and found.paused) then
      served[#served + 1] = {line = line, name = name}
    elseif crowded then
      -- More lines than are looked at: what is not served here makes way.
      redis.call('ZADD', set, redis.call('HINCRBY', META, 'line_turn', 1), line)
    end
  end
  local left = want
  while left > 0 and #served > 0 and skipped < SKIP_MAX do
    local still = {}
    for i, each in ipairs(served) do
      local line, name = each.line, each.name
      local ask = math.min(left, math.max(1, math.floor(left / (#served - i + 1))), room_of(name))
      if ask > 0 then
        local got = take_line(line, name, ask)
        left = left - got
        took(name, got)
        if redis.call('EXISTS', TURNS .. line) == 1 then
          redis.call('ZADD', set, redis.call('HINCRBY', META, 'line_turn', 1), line)
          still[#still + 1] = each
        else
          redis.call('ZREM', set, line)
        end
      end
    end
    served = still
  end
  return want - left
end

local turn = redis.call('HINCRBY', META, 'turn', max) - max
local wanted = {high = 0, normal = 0, low = 0}
for i = 0, max - 1 do
  local priority = PATTERN[(turn + i) % #PATTERN + 1]
  wanted[priority] = wanted[priority] + 1
end
local left = max
for _, priority in ipairs({'high', 'normal', 'low'}) do left = left - take(priority, wanted[priority]) end
for _, priority in ipairs({'high', 'normal', 'low'}) do
  if left > 0 then left = left - take(priority, left) end
end
local more = left > 0 and skipped >= SKIP_MAX and 1 or 0
if #taken.ids == 0 then return {now, more, wait} end

for name, tokens in pairs(buckets) do redis.call('HSET', RATES, name, string.format('%.9g %d', tokens, at)) end
local jobs, held, sinces, answer = {}, {}, {}, {now, more, wait}
for i, id in ipairs(taken.ids) do
  local fence = string.match(taken.entries[i], '^%d+')
  if not sinces[fence] then sinces[fence] = fence .. ' ' .. at end
  jobs[i * 2 - 1], jobs[i * 2] = id, taken.leases[i]
  held[i * 2 - 1], held[i * 2] = id, sinces[fence]
  answer[i * 2 + 2], answer[i * 2 + 3] = id, taken.texts[i]
end
redis.call('XADD', EVENTS, '*', 'w', ARGV[4] .. ' ' .. worker, 's', table.concat(taken.entries, '\n'))
each_thousand('HSET', JOBS, jobs)
each_thousand('HSET', HELD .. worker, held)
redis.call('ZADD', WORKERS, at, worker)
return answer
