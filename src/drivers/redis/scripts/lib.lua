-- What the scripts share. Names of keys (META, JOBS …) stand before it; see keys.ts.

-- Calls a command that takes any number of arguments, a thousand at a time.
local function each_thousand(command, key, args)
  for i = 1, #args, 1000 do
    redis.call(command, key, unpack(args, i, math.min(i + 999, #args)))
  end
end

-- HMGET of any number of fields.
local function get_all(key, fields)
  if #fields > 0 and #fields <= 1000 then return redis.call('HMGET', key, unpack(fields)) end
  local values = {}
  for i = 1, #fields, 1000 do
    local page = redis.call('HMGET', key, unpack(fields, i, math.min(i + 999, #fields)))
    for j = 1, #page do values[#values + 1] = page[j] end
  end
  return values
end

-- Begins a life of the data, on this run of a server.
local function begin(candidate, info)
  redis.call('HSET', META, 'run_id', string.match(info, 'run_id:(%w+)') or '', 'epoch', candidate)
  return candidate
end

-- The epoch of this life of the data; where there is none, a life begins with `candidate`.
local function epoch(candidate)
  return redis.call('HGET', META, 'epoch') or begin(candidate, redis.call('INFO', 'server'))
end

-- As epoch(); a new life begins as well where the data comes from another run of a server, whose last writes may be missing
-- (restart, failover).
local function life(candidate, info)
  local run_id = string.match(info, 'run_id:(%w+)') or ''
  if redis.call('HGET', META, 'run_id') ~= run_id then return begin(candidate, info) end
  return epoch(candidate)
end

-- A server whose memory is full refuses a script at its first write, if that may need more. What makes room in the end must not
-- be refused: it begins with a write that needs none.
local function despite_full_memory()
  redis.call('DEL', KEYS[1])
end

-- Milliseconds since 1970 UTC: as given, or by the server's own clock, which all share.
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether a text begins so. Every part of one that is taken out costs its length again.
local function begins(text, head)
  return string.find(text, head, 1, true) == 1
end

-- "FENCE ID" as its two parts.
local function part(entry)
  local space = string.find(entry, ' ', 1, true)
  return string.sub(entry, 1, space - 1), string.sub(entry, space + 1)
end

-- Texts of "FENCE ID" a line as two lists.
local function refs_of(text)
  local fences, ids = {}, {}
  for fence, id in string.gmatch(text, '(%d+) ([^\n]+)') do
    fences[#fences + 1], ids[#ids + 1] = fence, id
  end
  return fences, ids
end

-- A job's entry in JOBS: fence (text), state (q, l, c, s), lane or worker. What follows on the next line: message or WHO.
local function parse(entry)
  return string.match(entry, '^(%d+) (%a) ?([^\n]*)')
end

-- A lane's line, and the owner.
local function split(lane)
  return string.match(lane, '^(.*)|([^|]*)$')
end

-- The sorted set that a line stands in.
local function lines_of(line)
  local kind, priority = string.match(line, '^(%a)|(%a+)|')
  return LINES .. kind .. '|' .. priority
end

-- "TASK|OWNER" of a lane.
local function who_of(lane)
  return string.match(lane, '([^|]*|[^|]*)$')
end

-- An owner waits no more in a line until one of his tasks ends: the lane is empty.
local function forget_parked(line, who)
  local lines = redis.call('HGET', PARKED, who)
  if not lines then return end
  local kept = {}
  for each in string.gmatch(lines, '[^\n]+') do
    if each ~= line then kept[#kept + 1] = each end
  end
  if #kept > 0 then redis.call('HSET', PARKED, who, table.concat(kept, '\n')) else redis.call('HDEL', PARKED, who) end
end

-- A lane has become empty: its owner leaves the line, and an empty line its place.
local function retire(lane)
  local line, owner = split(lane)
  redis.call('HDEL', HOLES, lane)
  forget_parked(line, who_of(lane))
  redis.call('LREM', TURNS .. line, 0, owner)
  if redis.call('EXISTS', TURNS .. line) == 0 then redis.call('ZREM', lines_of(line), line) end
end

-- Takes the holes out of a lane.
local function compact(lane)
  local entries = redis.call('LRANGE', LANE .. lane, 0, -1)
  local ids = {}
  for i, entry in ipairs(entries) do
    local _, id = part(entry)
    ids[i] = id
  end
  local jobs = get_all(JOBS, ids)
  local kept = {}
  for i, entry in ipairs(entries) do
    local head = part(entry) .. ' q ' .. lane .. '\n'
    if jobs[i] and begins(jobs[i], head) then kept[#kept + 1] = entry end
  end
  redis.call('DEL', LANE .. lane)
  redis.call('HDEL', HOLES, lane)
  if #kept > 0 then each_thousand('RPUSH', LANE .. lane, kept) else retire(lane) end
end

-- A job has left its lane before its turn (its entry in JOBS says so already). Holes never outnumber jobs.
local function leave_hole(lane)
  local holes = redis.call('HINCRBY', HOLES, lane, 1)
  if holes * 2 > redis.call('LLEN', LANE .. lane) then compact(lane) end
end

-- Appends events; `fields` are name and value in turn.
local function emit(fields)
  for i = 1, #fields, 1000 do
    redis.call('XADD', EVENTS, '*', unpack(fields, i, math.min(i + 999, #fields)))
  end
end

-- Wakes whoever waits for signals.
local function signal(name, value)
  redis.call('XADD', SIGNALS, 'MAXLEN', '~', 1000, '*', name, value)
end

-- Of tasks that have limits: concurrency, per_user, token_ms, burst (0: none) and paused. Read once.
local limits
local function limits_of(name)
  if not limits then
    limits = {}
    local all = redis.call('HGETALL', LIMITS)
    for i = 1, #all, 2 do
      local concurrency, per_user, token_ms, burst, paused = string.match(all[i + 1], '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
      limits[all[i]] = {
        concurrency = tonumber(concurrency),
        per_user = tonumber(per_user),
        token_ms = tonumber(token_ms),
        burst = tonumber(burst),
        paused = paused ~= '0',
      }
    end
  end
  return limits['t|' .. name]
end

-- Whether there are limits or pauses at all.
local function limited()
  if not limits then limits_of('') end
  return next(limits) ~= nil
end

-- Whether a queue is paused.
local function queue_paused(queue)
  return limited() and limits['q|' .. queue] ~= nil
end

-- What runs counts by so many more, or fewer; returns how many leases of the task and of its owner there are then.
local function count(who, by)
  local name = string.match(who, '^[^|]*')
  local of_task, of_owner = redis.call('HINCRBY', BUSY, name, by), redis.call('HINCRBY', BUSY, who, by)
  if of_task <= 0 then redis.call('HDEL', BUSY, name) end
  if of_owner <= 0 then redis.call('HDEL', BUSY, who) end
  return of_task, of_owner
end

-- Limits of what is counted; nil: it is not.
local function counted(who)
  if not limited() then return end
  local found = limits_of(string.match(who, '^[^|]*'))
  if found and (found.concurrency > 0 or found.per_user > 0) then return found end
end

-- A lease begins, of "TASK|OWNER".
local function occupy(who)
  if counted(who) then count(who, 1) end
end

-- Whether something may be claimed now that could not be claimed before.
local freed = false

-- An owner stands in line again.
local function unpark(who)
  local lines = redis.call('HGET', PARKED, who)
  if not lines then return end
  redis.call('HDEL', PARKED, who)
  local owner = string.match(who, '[^|]*$')
  for line in string.gmatch(lines, '[^\n]+') do
    if redis.call('EXISTS', LANE .. line .. '|' .. owner) == 1 then
      redis.call('RPUSH', TURNS .. line, owner)
      redis.call('ZADD', lines_of(line), 'NX', redis.call('HINCRBY', META, 'line_turn', 1), line)
      freed = true
    end
  end
end

-- A lease ends that stood so in JOBS.
local function vacate(entry)
  if not limited() then return end
  local who = string.match(entry, '\n(.+)$')
  local found = who and counted(who)
  if not found then return end
  local of_task, of_owner = count(who, -1)
  if of_task + 1 >= found.concurrency and found.concurrency > 0 then freed = true end
  if of_owner < found.per_user then unpark(who) end
end

-- A lease ends without an outcome.
local function give_up(id, fence)
  vacate(redis.call('HGET', JOBS, id) or '')
  redis.call('HSET', JOBS, id, fence .. ' s')
end

-- Calls everybody where a lease that has ended leaves room for what waited for it.
local function tell_freed()
  if freed then signal('w', '') end
end
