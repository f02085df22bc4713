-- Greets the server.
--
-- KEYS[1]  prefix
-- KEYS[2]  says to which data directory the namespace belongs
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  that directory's id, to claim the namespace for it; '' for workers, which own none
--
-- Returns {epoch, owner or '', INFO, id of the latest signal}. Changes nothing where the namespace is another directory's.
local info = redis.call('INFO')
local owner = redis.call('GET', KEYS[2]) or ''
if ARGV[2] ~= '' and owner ~= '' and owner ~= ARGV[2] then return {'', owner, info} end
if ARGV[2] ~= '' and owner == '' then
  redis.call('SET', KEYS[2], ARGV[2])
  owner = ARGV[2]
end
local latest = redis.call('XREVRANGE', SIGNALS, '+', '-', 'COUNT', 1)[1]
return {life(ARGV[1], info), owner, info, latest and latest[1] or '0-0'}
