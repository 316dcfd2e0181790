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
local sub, concat = string.sub, table.concat
local gsub, gsub_begin, gsub_find = host.gsub, host.gsub_begin, host.gsub_find
local resume, create, wrap = coroutine.resume, coroutine.create, coroutine.wrap
local work = host.work
-- Work that Lua does not count is told in the steps of the meter.  Tables up to this length are not worth a call.
local SHORT = 1000

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

function globals.rawset(t, ...)
  need_table(t, 'rawset')
  local result = rawset(t, ...)
  return result
end

function globals.rawget(t, ...)
  local result = rawget(behind[t] or t, ...)
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
  if count == 2 and #t > SHORT then work(#t / 8) end
  insert(t, ...)
end

function globals.table.remove(t, ...)
  need_table(t, 'remove')
  if ... and #t > SHORT then work(#t / 8) end
  return remove(t, ...)
end

function globals.table.sort(t, ...)
  need_table(t, 'sort')
  if #t > SHORT then work(#t * 16) end
  sort(t, ...)
end

function globals.table.foreach(t, call)
  local real = behind[t]
  local result = foreach(real and copy(real) or t, call)
  return result
end

-- Patterns.  `gsub` calls functions of the script, whose errors pass through Lua only as they are.

-- So that the call of a library is not the last one of its wrapper.
local function all(...) return ... end

-- A match and what replaces it.
local function replaced(replacement, first, last, ...)
  if not first then return nil end
  if type(replacement) == 'table' then return first, last, replacement[(...)] end
  return first, last, (replacement(...))
end

function globals.string.gsub(...)
  local _, pattern, replacement = ...
  local kind = type(replacement)
  if kind ~= 'function' and kind ~= 'table' then return all(gsub(...)) end
  local text, limit, is_anchored = gsub_begin(...)
  local pieces, at, count = {}, 1, 0
  while count < limit do
    local first, last, value = replaced(replacement, gsub_find(text, pattern, at, kind == 'table'))
    if not first then break end
    count = count + 1
    if not value then
      value = sub(text, first, last)
    elseif type(value) ~= 'string' and type(value) ~= 'number' then
      error('invalid replacement value (a ' .. type(value) .. ')', 2)
    end
    pieces[#pieces + 1] = sub(text, at, first - 1)
    pieces[#pieces + 1] = value
    if last < first then
      pieces[#pieces + 1] = sub(text, first, first)
      last = first
    end
    at = last + 1
    if is_anchored then break end
  end
  pieces[#pieces + 1] = sub(text, at)
  return concat(pieces), count
end

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
  if select('#', ...) == 0 then return nil end
  return after_pcall(pcall(...))
end

local function after_xpcall(ok, ...)
  if not ok then passed((...)) end
  return ok, ...
end

function globals.xpcall(...)
  if select('#', ...) < 2 then error("bad argument #2 to 'xpcall' (value expected)", 2) end
  local call, handler = ...
  return after_xpcall(xpcall(call, function(value)
    if is_abort(value) then return value end
    return handler(plain(value, true))
  end))
end

local function after_resume(ok, ...)
  if ok then return true, ... end
  return false, plain(passed((...)))
end

-- A coroutine has a count of instructions of its own, which begins anew with it.
local COROUTINE = 1000

function globals.coroutine.create(...)
  work(COROUTINE)
  return all(create(...))
end

function globals.coroutine.wrap(...)
  work(COROUTINE)
  return all(wrap(...))
end

function globals.coroutine.resume(...)
  return after_resume(resume(...))
end

-- The world.

-- What scripts see that can change nothing of it (`bytecode`): nothing is in front of the libraries.  What would lead to the
-- world or compile for it is not there: a script that uses it sees the world.
local plain = copy(globals)
plain._G, plain.load, plain.loadstring = nil, nil, nil

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

return world, plain, load_library, leave_library
