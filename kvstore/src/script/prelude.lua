-- Takes away from Lua what differs from server to server, and adds what scripts of Redis expect.
local host = ...

local pcall_, xpcall_, error_, type_, next_, tostring_ = pcall, xpcall, error, type, next, tostring
local select_, unpack_ = select, unpack
local getmetatable_, setmetatable_, rawget_, loadstring_ = getmetatable, setmetatable, rawget, loadstring
local byte, floor = string.byte, math.floor

-- What has been stopped cannot be caught. Results are collected, since Lua's own calls return many without looking for room.
local function pack(...) return { n = select_('#', ...), ... } end
-- The failure of a function of the host is a text. `pcall` makes one of a failed command, too, as in Redis.
local function told(failure)
  local kind = type_(failure)
  return (kind == 'userdata' or kind == 'string') and host.text(failure) or failure
end
local function past(ok, results, failure)
  local stopped = host.stopped(failure)
  if stopped then error_(stopped, 0) end
  if ok then return true, unpack_(results, 1, results.n) end
  return false, failure
end
function pcall(...)
  local results
  local ok, failure = pcall_(function(...) results = pack((...)(select_(2, ...))) end, ...)
  failure = told(failure)
  if type_(failure) == 'table' then
    local text = rawget_(failure, 'err')
    if type_(text) == 'string' or type_(text) == 'number' then failure = text end
  end
  return past(ok, results, failure)
end
function xpcall(called, handler)
  local results
  local ok, failure = xpcall_(function() results = pack(called()) end, function(failure) return handler(told(failure)) end)
  return past(ok, results, failure)
end

-- No address is shown.
function tostring(value)
  local kind = type_(value)
  if kind == 'string' or kind == 'number' or kind == 'boolean' or kind == 'nil' then return tostring_(value) end
  local meta = getmetatable_(value)
  if type_(meta) == 'table' and rawget_(meta, '__tostring') then return tostring_(value) end
  return kind
end

-- Keys come in one order everywhere.
-- The place, key and value of the first one behind a place that is still there.
local function following(table, keys, at)
  while true do
    at = at + 1
    local key = keys[at]
    if key == nil then return at, nil end
    local value = rawget_(table, key)
    if value ~= nil then return at, key, value end
  end
end
function pairs(table)
  local keys, at = host.keys(table), 0
  return function()
    local key, value
    at, key, value = following(table, keys, at)
    return key, value
  end, table, nil
end
local table_, keys_, at_
function next(table, key)
  if key == nil then
    if next_(table) == nil then return nil end
    table_, keys_, at_ = table, host.keys(table), 0
  elseif table ~= table_ or keys_[at_] ~= key then
    table_, keys_, at_ = table, host.keys(table), nil
    for at = 1, #keys_ do
      if keys_[at] == key then at_ = at end
    end
    if not at_ then error_("invalid key to 'next'", 2) end
  end
  local value
  at_, key, value = following(table, keys_, at_)
  return key, value
end

-- No bytecode.
function loadstring(text, name)
  if type_(text) == 'string' and byte(text) == 27 then return nil, 'bytecode is not loaded' end
  return loadstring_(text, name)
end
function load(reader, name)
  local parts = {}
  repeat
    local part = reader()
    parts[#parts + 1] = part
  until part == nil or part == ''
  return loadstring(table.concat(parts), name or '=(load)')
end

-- What takes long in one instruction counts.
local sort, insert, remove, concat = table.sort, table.insert, table.remove, table.concat
function table.sort(list, before) host.spend(#list * 8) return sort(list, before) end
function table.insert(list, ...) host.spend(#list / 64) return insert(list, ...) end
function table.remove(list, ...) host.spend(#list / 64) return remove(list, ...) end
function table.concat(list, ...) host.spend(#list) return concat(list, ...) end

local rep = string.rep
for _, name in ipairs { 'upper', 'lower', 'reverse' } do
  local change = string[name]
  string[name] = function(text) host.spend(#text / 16) return change(text) end
end
function string.rep(text, times) host.spend(#text * times / 16) return rep(text, times) end

function math.random(low, high)
  local number = host.random()
  if low == nil then return number end
  if high == nil then low, high = 1, low end
  low, high = floor(low), floor(high)
  if low > high then error_("bad argument to 'random' (interval is empty)", 2) end
  return floor(number * (high - low + 1)) + low
end
math.randomseed = host.seed

function collectgarbage() return 0 end
for _, name in ipairs { 'coroutine', 'dofile', 'loadfile', 'module', 'require', 'newproxy', 'print', 'gcinfo', 'setfenv',
  'getfenv', 'package', 'debug', 'io' } do
  _G[name] = nil
end
string.dump, string.gfind = nil, string.gmatch
function table.foreach(table, visit)
  for key, value in pairs(table) do
    local result = visit(key, value)
    if result ~= nil then return result end
  end
end
os = { clock = host.clock }

local function fail(text) error_({ err = 'ERR ' .. text }, 0) end
local function checked(reply)
  if type_(reply) == 'table' and rawget_(reply, 'err') ~= nil then error_(reply, 0) end
  return reply
end
-- A reply of one text; what makes none is an error that is returned, as in Redis.
local function one_text(name, make)
  return function(...)
    local text = ...
    if select_('#', ...) ~= 1 or type_(text) ~= 'string' then
      return { err = 'ERR wrong number or type of arguments' }
    end
    return { [name] = make(text) }
  end
end
redis = {
  pcall = host.call,
  call = function(...) return checked(host.call(...)) end,
  error_reply = one_text('err', function(text)
    if byte(text) == 45 then text = text:sub(2) end
    return text:find(' ', 1, true) and text or 'ERR ' .. text
  end),
  status_reply = one_text('ok', function(text) return text end),
  sha1hex = function(...)
    if select_('#', ...) ~= 1 then fail('wrong number of arguments') end
    local text = ...
    local kind = type_(text)
    return host.sha1hex((kind == 'string' or kind == 'number') and text or '')
  end,
  log = function(level, ...)
    if select_('#', ...) < 1 then fail('redis.log() requires two arguments or more.') end
    if type_(level) ~= 'number' then fail('First argument must be a number (log level).') end
    if level < 0 or level > 3 then fail('Invalid debug level.') end
    local words = pack(...)
    for at = 1, words.n do
      local kind = type_(words[at])
      if kind ~= 'string' and kind ~= 'number' then words[at] = '' end
    end
    host.log(floor(level), concat(words, ' '))
  end,
  setresp = function(...)
    if select_('#', ...) ~= 1 then fail('redis.setresp() requires one argument.') end
    local version = ...
    if version ~= 2 and version ~= 3 then fail('RESP version must be 2 or 3.') end
    host.setresp(version)
  end,
  replicate_commands = function() return true end,
  set_repl = function(...)
    if select_('#', ...) ~= 1 then fail('redis.set_repl() requires one argument.') end
    local flags = ...
    if type_(flags) ~= 'number' or flags < 0 or flags > 3 then
      fail('Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.')
    end
  end,
  breakpoint = function() return false end,
  debug = function() end,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
  REDIS_VERSION = '7.2.0', REDIS_VERSION_NUM = 0x00070200,
}
KEYS, ARGV, bit, cjson, cmsgpack, struct = host.KEYS, host.ARGV, host.bit, host.cjson, host.cmsgpack, host.struct

local globals = _G
function setmetatable(table, meta)
  if table == globals then error_('Attempt to modify a readonly table', 2) end
  return setmetatable_(table, meta)
end
setmetatable_(_G, {
  __newindex = function() error_('Attempt to modify a readonly table', 2) end,
  __index = function(_, name)
    error_("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})
function host.guard(script)
  local result
  local ok, failure = pcall_(function() result = script() end)
  if ok then return true, result end
  host.stopped(failure)
  return false, failure
end
