/**
 * The Lua scripts of the Redis engine: each is one method of MemoryFleet (../memory-engine.ts) in one step of Redis.
 *
 * KEYS[1] is the prefix of all keys, with the hash tag that puts them into one slot of a Cluster; ARGV[1] is the node, if it matters.
 * docs/reference/fleet-redis.md lists the keys. Every script that writes a key also sets its time to live.
 */
import { MAX_REMOVED, Script } from './prelude.ts'

/** Owners told to be offline by one beat, at most. */
const MAX_OFFLINE = 1000
/** Seconds of the calendar that one booking looks at. */
const MAX_SECONDS = 3600

/** What a beat is refused with while a part of what its node had written before is there. */
export const BEING_REMOVED = ' is being removed: it may join again in a moment'

/** Checks that Redis is new enough and accepts the user. */
export const HELLO = new Script('return now')

// An answer that has been lost is given again: the caller says which one it heard last.
// Leases and times away do not end while Redis is frozen or out of reach for all: no node could renew its lease, or write that an owner is back.
export const BEAT = new Script(`
local info, capacity, lease, away, heard, written = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local own, leases, inbox = key('node', node), key('leases'), key('inbox', node)

-- A replica that was promoted may lack what its primary had answered last: what it has of this node is of no use.
if member(node) and tonumber(call('HGET', own, 'wrote') or 0) < written then remove(node, now + away) end

local last = call('HMGET', own, 'beat', 'told')
local told = { joined = not last[1], lost = {}, offline = {} }
if last[1] and last[1] ~= heard then told = cjson.decode(last[2]) end
-- Otherwise what it had written before would count as written now.
if told.joined and call('ZSCORE', key('removed'), node) and remove_slice(node, ${MAX_REMOVED}) <= 0 then
  keep(lease, key('away'), key('removed'))
  return redis.error_reply('ERR node ' .. node .. '${BEING_REMOVED}')
end

for i = 8, #ARGV do call('HDEL', inbox, ARGV[i]) end

local others, newest = {}, 0
for _, id in ipairs(call('ZRANGE', leases, 0, -1)) do
  local fields = call('HMGET', key('node', id), 'info', 'capacity', 'at', 'lease')
  newest = math.max(newest, tonumber(fields[3]) or 0)
  if id ~= node then table.insert(others, { id, fields[1] or '', fields[2] or '0', fields[3] or '0', tonumber(fields[4]) or 0 }) end
end
local unreachable = now - newest >= lease

local nodes = { { node, info, capacity, string.format('%.0f', now) } }
for _, other in ipairs(others) do
  local id, its_lease = other[1], table.remove(other)
  local ends = tonumber(call('ZSCORE', leases, id))
  local ended = ends <= now
  -- The clock has gone back, as after a failover to a host whose clock is behind: a node that is gone must not stay for as long.
  if its_lease > 0 and ends > now + its_lease then call('ZADD', leases, now + its_lease, id) end
  if ended and unreachable then call('ZADD', leases, now + its_lease, id) end
  if ended and not unreachable then
    table.insert(told.lost, other)
    remove(id, now + away)
  else
    table.insert(nodes, other)
  end
end

remove_slices()

-- Told again: those who are back by now are not.
local offline = {}
for _, owner in ipairs(told.offline) do
  if next(read(key('owner'), owner)) == nil and not call('ZSCORE', key('away'), owner) then table.insert(offline, owner) end
end
told.offline = offline

local room = math.max(0, ${MAX_OFFLINE} - #told.offline)
for _, owner in ipairs(call('ZRANGEBYSCORE', key('away'), '-inf', now, 'LIMIT', 0, unreachable and -1 or room)) do
  if unreachable then
    call('ZADD', key('away'), now + lease, owner)
  else
    call('ZREM', key('away'), owner)
    if next(read(key('owner'), owner)) == nil then table.insert(told.offline, owner) end
  end
end

call('ZADD', leases, now + lease, node)
call('HSET', own, 'info', info, 'capacity', capacity, 'lease', lease, 'at', string.format('%.0f', now), 'beat', stamp, 'told', cjson.encode(told))
if not last[1] then call('HSET', own, 'wrote', written) end
keep(lease, leases, own, inbox, key('owner'), key('tag'), key('places'), key('away'), key('removed'),
  key('owner', node), key('tag', node), key('places', node))

return { stamp, now, told.joined and 1 or 0, nodes, told.lost, call('HGETALL', inbox), told.offline }
`)

export const LEAVE = new Script(`
local lease = member(node)
if lease then
  remove(node, now)
  remove_slices()
  keep(lease, key('away'), key('removed'))
end
`)

export const SEND = new Script(`
local message = ARGV[1]
for i = 2, #ARGV do call('PUBLISH', key('to', ARGV[i]), message) end
`)

export const ORDER = new Script(`
local lease = member(node)
if lease then
  call('HSETNX', key('inbox', node), ARGV[2], stamp .. ARGV[3])
  keep(lease, key('inbox', node))
  call('PUBLISH', key('to', node), ARGV[4])
end
`)

// As BEAT: changes whose answer has been lost are told again, those that are still so.
export const LABEL = new Script(`
local lease, heard = member(node), ARGV[2]
if not lease then return no_member(node) end

local last = call('HMGET', key('node', node), 'labelled', 'changes')
local changes, changed = { online = {}, offline = {} }, {}
local again = { online = {}, offline = {} }
if last[1] and last[1] ~= heard then again = cjson.decode(last[2]) end

local function online (owner, nodes)
  return next(nodes) ~= nil or call('ZSCORE', key('away'), owner) and true
end
for _, item in ipairs(cjson.decode(ARGV[3])) do
  local kind, label, count, away = item[1], item[2], item[3], item[4]
  local nodes = read(key(kind), label)
  local before = nodes[node] or 0
  local was = kind == 'owner' and online(label, nodes)
  if count ~= before then
    nodes[node] = count > 0 and count or nil
    write(key(kind), label, nodes)
    call(count > 0 and 'SADD' or 'SREM', key(kind, node), label)
  end
  if kind == 'owner' then
    if count > before then call('ZREM', key('away'), label) end
    if away > 0 then expect(label, now + away) end
    local is = online(label, nodes)
    if not is ~= not was then
      changed[label] = true
      table.insert(is and changes.online or changes.offline, label)
    end
  end
end
for _, owner in ipairs(again.online) do
  if not changed[owner] and online(owner, read(key('owner'), owner)) then table.insert(changes.online, owner) end
end
for _, owner in ipairs(again.offline) do
  if not changed[owner] and not online(owner, read(key('owner'), owner)) then table.insert(changes.offline, owner) end
end
-- One text: a client of Redis takes much longer for a list.
local text = cjson.encode(changes)
call('HSET', key('node', node), 'labelled', stamp, 'changes', text)
keep(lease, key('owner'), key('tag'), key('away'), key('owner', node), key('tag', node))
return { stamp, text, count_write() }
`)

export const FIND = new Script(`
local kind, label = ARGV[1], ARGV[2]
local nodes, ends = {}, tonumber(call('ZSCORE', key('away'), label) or nil)
for id, count in pairs(read(key(kind), label)) do
  if call('ZSCORE', key('leases'), id) then
    table.insert(nodes, { id, count })
  else
    ends = math.max(ends or 0, tonumber(call('ZSCORE', key('removed'), id) or 0))
  end
end
return { nodes, kind == 'owner' and #nodes == 0 and ends and math.max(0, ends - now) or false }
`)

export const TAKE = new Script(`
local lease = member(node)
if not lease then return no_member(node) end
local answers = {}
for i = 2, #ARGV, 5 do
  local name, have, want, max, oldest = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local nodes = read(key('places'), name)
  nodes[node] = nil
  local others = 0
  for id, places in pairs(nodes) do
    if call('ZSCORE', key('leases'), id) then others = others + places.count else nodes[id] = nil end
  end
  local given = math.max(0, math.min(want, max - others - have))
  if have + given > 0 then nodes[node] = { count = have + given, oldest = oldest } end
  write(key('places'), name, nodes)
  call(nodes[node] and 'SADD' or 'SREM', key('places', node), name)
  local oldestAt, oldestOf = false, math.huge
  for id, places in pairs(given < want and nodes or {}) do
    if places.oldest and places.oldest < oldestOf then oldestAt, oldestOf = id, places.oldest end
  end
  table.insert(answers, { given, oldestAt })
end
keep(lease, key('places'), key('places', node))
return { count_write(), answers }
`)

// As Calendar (../arrivals-calendar.ts): seconds hold rates, clients a second.
export const BOOK = new Script(`
local calendar = key('calendar')
if not member(node) then return no_member(node) end
local clients, from, share, ceiling, leaves = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]

if leaves == '1' then call('HSET', key('node', node), 'capacity', 0) end
local capacity = 0
for _, id in ipairs(call('ZRANGE', key('leases'), 0, -1)) do
  capacity = capacity + (tonumber(call('HGET', key('node', id), 'capacity')) or 0)
end
local rate = capacity > 0 and math.max(1, math.min(ceiling, share * capacity)) or 0

-- The part of a second that has passed at a time, milliseconds.
local function start_of (second, at)
  return math.min(1000, math.max(0, at - second * 1000))
end

local begins = now + from
local begun = math.floor(begins / 1000)
local kept = 0
for _, field in ipairs(call('HKEYS', calendar)) do
  local second = tonumber(field)
  if (second + 1) * 1000 <= now then
    call('HDEL', calendar, field)
  elseif (second + 1) * 1000 > begins then
    local rates = read(calendar, field)
    if second == begun then kept = (rates[node] or 0) * (start_of(second, begins) - start_of(second, now)) / 1000 end
    rates[node] = nil
    write(calendar, field, rates)
  end
end

local seconds, left, second = {}, rate > 0 and clients or 0, begun
repeat
  local field = string.format('%.0f', second)
  local rates, others = read(calendar, field), 0
  for _, other in pairs(rates) do others = others + other end
  local turns = math.min(left, math.max(0, (rate - others) * (1000 - start_of(second, begins)) / 1000))
  if left > 0 then table.insert(seconds, string.format('%.17g', turns)) end
  left = left - turns
  if turns + kept > 0 then
    rates[node] = (turns + kept) * 1000 / (1000 - start_of(second, now))
    write(calendar, field, rates)
  end
  kept, second = 0, second + 1
until left <= 0 or second >= begun + ${MAX_SECONDS}

-- Turns stay when the fleet is gone, until they are past. To GT, a key without a time to live has an endless one.
for _, condition in ipairs({ 'NX', 'GT' }) do call('PEXPIREAT', calendar, second * 1000, condition) end
return { string.format('%.17g', 1000 - start_of(begun, begins)), string.format('%.17g', rate), seconds }
`)
