-- Removes what other versions of the layout have in this namespace: one step of a walk through all keys of the database.
--
-- KEYS[1]  prefix
-- ARGV[1]  an epoch for a new life
-- ARGV[2]  where the walk goes on; 0: from the beginning
--
-- Returns {epoch, where it goes on; 0: nowhere, how many keys it has removed}.
despite_full_memory()
local namespace = string.match(KEYS[1], '^(.*:)v%d+:$')
local step = redis.call('SCAN', ARGV[2], 'COUNT', 1000)
local removed = 0
for _, key in ipairs(step[2]) do
  local version = string.sub(key, 1, #namespace) == namespace and string.match(string.sub(key, #namespace + 1), '^v%d+:')
  if version and namespace .. version ~= KEYS[1] then removed = removed + redis.call('UNLINK', key) end
end
return {epoch(ARGV[1]), step[1], removed}
