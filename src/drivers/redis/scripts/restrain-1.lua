-- Limits and pauses, from now on. What is leased already is counted anew; who waited for a lease to end looks again.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  now, in milliseconds; '': the server's clock
-- ARGV[3]  for so long no task that counts is claimed, in milliseconds: workers have still to say what they hold. 0: it is known
-- ARGV[4…] field and value in turn, as in LIMITS
--
-- Returns {epoch}. Signals work.
despite_full_memory()
local now = epoch(ARGV[1])
redis.call('DEL', LIMITS, BUSY)
local fields = {}
for i = 4, #ARGV do fields[i - 3] = ARGV[i] end
each_thousand('HSET', LIMITS, fields)
if ARGV[3] ~= '0' then redis.call('HSET', META, 'hold', clock(ARGV[2]) + tonumber(ARGV[3])) end
for _, name in ipairs(redis.call('HKEYS', RATES)) do
  local found = limits_of(name)
  if not found or found.token_ms == 0 then redis.call('HDEL', RATES, name) end
end
if #ARGV > 3 then
  for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
    for _, entry in ipairs(get_all(JOBS, redis.call('HKEYS', HELD .. worker))) do
      local who = entry and string.match(entry, '\n(.+)$')
      if who then occupy(who) end
    end
  end
end
for _, who in ipairs(redis.call('HKEYS', PARKED)) do unpark(who) end
signal('w', '')
return {now}
