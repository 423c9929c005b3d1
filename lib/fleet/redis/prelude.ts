/**
 * What all Lua scripts of the Redis engine begin with: keys, time, members, and the removal of nodes that are gone.
 */
import { createHash } from 'node:crypto'

/** Leases after which a key that is not written again is gone: an hour, with leases of 6 seconds. */
const LEASES = 600
/** Most labels of a node that is gone that one call removes: Redis does nothing else meanwhile, for about 10 µs each. */
export const MAX_REMOVED = 2500

/** What all scripts begin with. The first line makes Redis 7 refuse a script as a whole where it has no memory left for it. */
const PRELUDE = `#!lua
local prefix, node = KEYS[1], ARGV[1]
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Identifies this call; stamps sort by time.
local stamp = string.format('%s%06d', time[1], time[2])

local function key (name, id)
  return prefix .. name .. (id and ':' .. id or '')
end

local function keep (lease, ...)
  for _, name in ipairs({ ... }) do call('PEXPIRE', name, lease * ${LEASES}) end
end

-- The lease of a member, milliseconds.
local function member (id)
  return tonumber(call('HGET', key('node', id), 'lease'))
end

local function no_member (id)
  return redis.error_reply('ERR node ' .. id .. ' is no member of the fleet: it must beat first')
end

-- Numbers the calls that write in the order in which they are carried out: the script of a call may have to be sent again.
local function count_write ()
  local count = tonumber(call('HGET', key('node', node), 'wrote') or 0) + 1
  call('HSET', key('node', node), 'wrote', count)
  return count
end

-- A field that holds node → value; one without nodes is deleted.
local function read (hash, field)
  local text = call('HGET', hash, field)
  return text and cjson.decode(text) or {}
end

local function write (hash, field, nodes)
  if next(nodes) == nil then call('HDEL', hash, field) else call('HSET', hash, field, cjson.encode(nodes)) end
end

-- Owners that are away stay online until then.
local function expect (owner, ends)
  call('ZADD', key('away'), 'GT', ends, owner)
end

-- A node that is gone is no member at once. What it has written is removed in slices; its owners are away until then.
local function remove (id, awayUntil)
  call('DEL', key('node', id), key('inbox', id))
  call('ZREM', key('leases'), id)
  call('ZADD', key('removed'), awayUntil, id)
end

local function remove_slice (id, room)
  local ends = call('ZSCORE', key('removed'), id)
  for _, kind in ipairs({ 'owner', 'tag', 'places' }) do
    local labels = call('SPOP', key(kind, id), room)
    room = room - #labels
    for _, label in ipairs(labels) do
      local nodes = read(key(kind), label)
      nodes[id] = nil
      write(key(kind), label, nodes)
      if kind == 'owner' then expect(label, ends) end
    end
  end
  if room > 0 then call('ZREM', key('removed'), id) end
  return room
end

local function remove_slices ()
  local room = ${MAX_REMOVED}
  for _, id in ipairs(call('ZRANGE', key('removed'), 0, -1)) do
    if room > 0 then room = remove_slice(id, room) end
  end
end
`

/** A script, and the name that Redis has for it. */
export class Script {
  readonly text: string
  readonly sha: string

  constructor (body: string) {
    this.text = PRELUDE + body
    this.sha = createHash('sha1').update(this.text).digest('hex')
  }
}
