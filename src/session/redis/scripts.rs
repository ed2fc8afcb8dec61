//! What Redis does in one step, as Lua. The keys of a script are in one slot of a Cluster.

/// Notes a session in the index of its subject.
///
/// `KEYS`: subject. `ARGV`: digest, moment of creation, span that the index lives at least.
pub(super) const NOTE: &str = r"
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
";

/// Ends a session, unless it has another `sid`; gives what became of it, and the end of the key of
/// its subject's index where it was there.
///
/// `KEYS`: session, tokens. `ARGV`: nothing, or the sid.
pub(super) const END: &str = r"
local value = redis.call('GET', KEYS[1])
if not value then
  redis.call('DEL', KEYS[2])
  return {'gone', ''}
end
local known = cjson.decode(value)
if ARGV[1] and known.idp_sid ~= ARGV[1] then return {'stays', known.subject_key} end
redis.call('DEL', KEYS[1], KEYS[2])
return {'ended', known.subject_key}
";
