//! What Redis does in one step, as Lua.

/// Keeps a session; with an old one (`KEYS[4]`, `KEYS[5]`, `ARGV[7]`), deletes that first and
/// keeps nothing if it was gone.
///
/// `KEYS`: session, tokens, subject[, old session, old tokens]. `ARGV`: value, tokens or empty,
/// idle span, span, digest, moment of creation[, old digest].
pub(super) const INSERT: &str = r"
if KEYS[4] then
  if redis.call('DEL', KEYS[4]) == 0 then return 0 end
  redis.call('DEL', KEYS[5])
  redis.call('ZREM', KEYS[3], ARGV[7])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
redis.call('ZADD', KEYS[3], ARGV[6], ARGV[5])
if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
end
return 1
";

/// Ends one session. `KEYS`: session, tokens. `ARGV`: digest, start of subject keys.
pub(super) const DELETE: &str = r"
local value = redis.call('GET', KEYS[1])
if value then
  redis.call('ZREM', ARGV[2] .. cjson.decode(value).subject_key, ARGV[1])
end
return redis.call('DEL', KEYS[1], KEYS[2])
";

/// Ends the sessions of a subject, or those with one `sid`; gives their digests.
///
/// `KEYS`: subject. `ARGV`: start of session keys, start of tokens keys[, sid].
pub(super) const DELETE_OF: &str = r"
local ended = {}
for _, digest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local value = redis.call('GET', ARGV[1] .. digest)
  if not value then
    redis.call('ZREM', KEYS[1], digest)
  elseif not ARGV[3] or cjson.decode(value).idp_sid == ARGV[3] then
    redis.call('DEL', ARGV[1] .. digest, ARGV[2] .. digest)
    redis.call('ZREM', KEYS[1], digest)
    table.insert(ended, digest)
  end
end
return ended
";

/// Ends the oldest sessions of a subject; gives their digests.
///
/// `KEYS`: subject. `ARGV`: start of session keys, start of tokens keys, how many stay.
pub(super) const EVICT: &str = r"
local ended = redis.call('ZREVRANGE', KEYS[1], ARGV[3], -1)
for _, digest in ipairs(ended) do
  redis.call('DEL', ARGV[1] .. digest, ARGV[2] .. digest)
  redis.call('ZREM', KEYS[1], digest)
end
return ended
";
