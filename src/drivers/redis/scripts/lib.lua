-- What the scripts share. Names of keys (META, JOBS …) stand before it; see keys.ts.

-- Calls a command that takes any number of arguments, a thousand at a time.
local function each_thousand(command, key, args)
  for i = 1, #args, 1000 do
    redis.call(command, key, unpack(args, i, math.min(i + 999, #args)))
  end
end

-- HMGET of any number of fields.
local function get_all(key, fields)
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

-- "FENCE ID" as its two parts.
local function part(entry)
  local space = string.find(entry, ' ', 1, true)
  return string.sub(entry, 1, space - 1), string.sub(entry, space + 1)
end

-- Texts of "FENCE ID" a line as two lists.
local function refs_of(text)
  local fences, ids = {}, {}
  for ref in string.gmatch(text, '[^\n]+') do
    fences[#fences + 1], ids[#ids + 1] = part(ref)
  end
  return fences, ids
end

-- A job's entry in JOBS: fence (text), state (q, l, c, s), lane or worker.
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

-- A lane has become empty: its owner leaves the line, and an empty line its place.
local function retire(lane)
  local line, owner = split(lane)
  redis.call('HDEL', HOLES, lane)
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
    if jobs[i] and string.sub(jobs[i], 1, #head) == head then kept[#kept + 1] = entry end
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
