-- Makes the world that scripts see, and returns it with the functions around the loading of a library.
--
-- Lua 5.1 has no tables that cannot be written to.  So scripts see an empty table in front of each library, through which
-- they read, and the functions that would reach around it are replaced.  A function that can fail is not the last call of
-- another one here where that would take the script's frame off the stack: messages name their place in the script by it.

local globals, host = ...

local error, type, select, tonumber, tostring = error, type, select, tonumber, tostring
local getmetatable, setmetatable = getmetatable, setmetatable
local rawget, rawset, next, unpack = rawget, rawset, next, unpack
local pcall, xpcall = pcall, xpcall
local insert, remove, sort, foreach = table.insert, table.remove, table.sort, table.foreach
local find, match, gmatch, gsub = string.find, string.match, string.gmatch, string.gsub
local resume = coroutine.resume
local settled, plain, passed, is_abort = host.settled, host.plain, host.passed, host.is_abort

local READONLY = 'Attempt to modify a readonly table'

-- The real table behind each one that scripts see.
local behind = {}

local function guarded(real)
  local shown = {}
  behind[shown] = real
  local meta = {
    __index = real,
    __newindex = function() error(READONLY, 2) end,
  }
  return setmetatable(shown, meta), meta
end

local function copy(real)
  local result = {}
  for name, value in next, real do
    result[name] = value
  end
  return result
end

-- Complains about the first argument of the function that has called, unless it is a table of the script.
local function need_table(t, name)
  if behind[t] then error(READONLY, 0) end
  if type(t) ~= 'table' then
    error("bad argument #1 to '" .. name .. "' (table expected, got " .. type(t) .. ')', 3)
  end
end

-- Tables.

function globals.rawset(t, name, value)
  need_table(t, 'rawset')
  local result = rawset(t, name, value)
  return result
end

function globals.rawget(t, name)
  local result = rawget(behind[t] or t, name)
  return result
end

function globals.setmetatable(t, ...)
  need_table(t, 'setmetatable')
  local result = setmetatable(t, ...)
  return result
end

function globals.getmetatable(value)
  if behind[value] then return nil end
  return (getmetatable(value))
end

function globals.next(t, name)
  local real = behind[t] or t
  need_table(real, 'next')
  return next(real, name)
end

function globals.pairs(t)
  local real = behind[t]
  if real then
    t = copy(real)
  else
    need_table(t, 'pairs')
  end
  return next, t, nil
end

function globals.table.insert(t, ...)
  need_table(t, 'insert')
  local count = select('#', ...)
  if count == 2 then
    local position = type((...))
    if position ~= 'number' and position ~= 'string' then
      error("bad argument #2 to 'insert' (number expected, got " .. position .. ')', 2)
    end
  elseif count ~= 1 then
    error("wrong number of arguments to 'insert'", 2)
  end
  insert(t, ...)
end

function globals.table.remove(t, ...)
  need_table(t, 'remove')
  return remove(t, ...)
end

function globals.table.sort(t, ...)
  need_table(t, 'sort')
  sort(t, ...)
end

function globals.table.foreach(t, call)
  local real = behind[t]
  local result = foreach(real and copy(real) or t, call)
  return result
end

-- Patterns.  Lua calls itself for each of these signs and does not count how deep, so long patterns would take the stack of the
-- server's thread.

local SIGNS_MAX = 1000

local function need_simple(pattern)
  if type(pattern) ~= 'string' or #pattern <= SIGNS_MAX then return end
  local _, signs = gsub(pattern, '[?*+%-()]', '')
  if signs > SIGNS_MAX then error('pattern too complex', 3) end
end

-- So that the call of a library is not the last one of its wrapper.
local function all(...) return ... end

function globals.string.find(...)
  local _, pattern, _, is_plain = ...
  if not is_plain then need_simple(pattern) end
  return all(find(...))
end

function globals.string.match(...)
  local _, pattern = ...
  need_simple(pattern)
  return all(match(...))
end

function globals.string.gmatch(...)
  local _, pattern = ...
  need_simple(pattern)
  return all(gmatch(...))
end

function globals.string.gsub(...)
  local _, pattern = ...
  need_simple(pattern)
  return all(gsub(...))
end

globals.string.gfind = globals.string.gmatch

-- Lua computes the number of results with 32 bits and does not see it when that overflows.  The stack has room for so many.
local RESULTS_MAX = 8000

function globals.unpack(t, first, last)
  need_table(t, 'unpack')
  if first ~= nil or last ~= nil then
    local from, to = tonumber(first) or 1, #t
    if last ~= nil then to = tonumber(last) end
    if to and not (from > -2147483648 and to < 2147483647 and to - from < RESULTS_MAX) then
      error('too many results to unpack', 2)
    end
  end
  return unpack(t, first, last)
end

-- Errors, which are shown as Redis shows them.  That the run ends cannot be caught.

local function after_pcall(ok, ...)
  if ok then return true, ... end
  return false, settled((...))
end

function globals.pcall(...)
  return after_pcall(pcall(...))
end

local function after_xpcall(ok, ...)
  if not ok then passed((...)) end
  return ok, ...
end

function globals.xpcall(call, handler)
  return after_xpcall(xpcall(call, function(value)
    if is_abort(value) then return value end
    return handler(plain(value))
  end))
end

local function after_resume(ok, ...)
  if ok then return true, ... end
  return false, plain(passed((...)))
end

function globals.coroutine.resume(...)
  return after_resume(resume(...))
end

-- The world.

local redis = globals.redis
for _, name in next, {
  'string', 'table', 'math', 'coroutine', 'os', 'bit', 'cjson', 'cmsgpack', 'struct', 'redis',
} do
  if globals[name] then globals[name] = (guarded(globals[name])) end
end

getmetatable('').__metatable = (guarded({ __index = globals.string }))

local world, world_meta = guarded(globals)
globals._G = world
local complete = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
}
setmetatable(globals, complete)

function redis.acl_check_cmd(...)
  local result = redis.call(host.check, ...)
  return result
end

local handler = host.handler

-- Libraries of functions.  While one is loaded, the world has nothing but a `redis` of its own.

local loading = setmetatable({ redis = (guarded(setmetatable(host.redis_of_libraries, complete))) }, complete)

local function leave_library()
  behind[world], world_meta.__index = globals, globals
end

local function load_library(chunk)
  behind[world], world_meta.__index = loading, loading
  local ok, result = xpcall(chunk, handler)
  leave_library()
  return ok, result
end

return world, load_library, leave_library
