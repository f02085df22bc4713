-- A worker ends, and nothing runs there any more: what it was sent and never got goes back.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  worker
-- ARGV[3]  when, in milliseconds, as events are to say
--
-- Returns {epoch}.
despite_full_memory()
local now = epoch(ARGV[1])
local worker = ARGV[2]
local held = redis.call('HGETALL', HELD .. worker)
for i = 1, #held, 2 do
  local fence = part(held[i + 1])
  give_up(held[i], fence)
  emit({'r', ARGV[3] .. ' ' .. fence .. ' ' .. held[i]})
end
redis.call('DEL', HELD .. worker)
redis.call('ZREM', WORKERS, worker)
redis.call('HDEL', CREW, worker)
tell_freed()
return {now}
