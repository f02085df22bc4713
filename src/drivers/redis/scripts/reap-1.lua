-- Gives up the leases of workers that have been silent for longer than a lease, with one `lost` event each.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  now, in milliseconds; '': the server's clock
-- ARGV[3]  when, in milliseconds, as the events are to say
-- ARGV[4]  how long a lease is, in milliseconds
-- ARGV[5]  now, as it is expected to be, in milliseconds; '': anything
-- ARGV[6]  a clock that is so far from that has jumped, in milliseconds: then nobody was silent
--
-- Returns {epoch, now, how many leases}.
despite_full_memory()
local this = epoch(ARGV[1])
local now, lease = clock(ARGV[2]), tonumber(ARGV[4])
local expected = tonumber(ARGV[5])
if expected and math.abs(now - expected) > tonumber(ARGV[6]) then return {this, now, 0} end
local events = {}
local workers = redis.call('ZRANGE', WORKERS, 0, -1, 'WITHSCORES')
for i = 1, #workers, 2 do
  local worker, beat = workers[i], tonumber(workers[i + 1])
  if beat > now + lease then
    -- The clock has gone back: the lease counts from here.
    redis.call('ZADD', WORKERS, now, worker)
  elseif now - beat > lease then
    local held = redis.call('HGETALL', HELD .. worker)
    for j = 1, #held, 2 do
      local fence = part(held[j + 1])
      give_up(held[j], fence)
      events[#events + 1] = 'd'
      events[#events + 1] = ARGV[3] .. ' ' .. fence .. ' ' .. held[j]
    end
    redis.call('DEL', HELD .. worker)
    redis.call('ZREM', WORKERS, worker)
    redis.call('HDEL', CREW, worker)
  end
end
if #events > 0 then emit(events) end
tell_freed()
return {this, now, #events / 2}
