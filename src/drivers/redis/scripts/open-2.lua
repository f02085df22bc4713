-- Greets the server.
--
-- KEYS[1]  prefix
-- KEYS[2]  says to which data directory the namespace belongs
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  that directory's id, to claim the namespace for it; '' for workers, which own none
-- ARGV[3]  the epoch of its rows; later ones come later in the order of texts. '': nobody says
--
-- Returns {epoch, owner or '', INFO, id of the latest signal, the epoch of the rows that it works for or ''}. Changes nothing
-- where the namespace is another directory's, or works for later rows of the same one.
local info = redis.call('INFO')
local owner = redis.call('GET', KEYS[2]) or ''
local rows = redis.call('HGET', META, 'rows') or ''
if ARGV[2] ~= '' and owner ~= '' and owner ~= ARGV[2] then return {'', owner, info, '', rows} end
if ARGV[2] ~= '' and owner == '' then
  redis.call('SET', KEYS[2], ARGV[2])
  owner = ARGV[2]
end
if ARGV[3] ~= '' and rows ~= ARGV[3] then
  if rows > ARGV[3] then return {'', owner, info, '', rows} end
  -- The rows went back to a backup: jobs, leases and events are of what they no longer know. What is left in lanes are holes.
  if rows ~= '' then
    for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do redis.call('UNLINK', HELD .. worker) end
    for _, who in ipairs(redis.call('HKEYS', PARKED)) do unpark(who) end
    redis.call('UNLINK', JOBS, EVENTS, HOLES, META, BUSY)
  end
  rows = ARGV[3]
  redis.call('HSET', META, 'rows', rows)
end
local latest = redis.call('XREVRANGE', SIGNALS, '+', '-', 'COUNT', 1)[1]
return {life(ARGV[1], info), owner, info, latest and latest[1] or '0-0', rows}
