local burst, rate, period, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local interval = period / rate
local now = redis.call('TIME')
now = (now[1] - 1483228800) + now[2] / 1000000
local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
if arrival < now then arrival = now end
local after = arrival + interval * cost
local left = (now - (after - interval * burst)) / interval
if left < 0 then return {0, 0, tostring(after - interval * burst - now), tostring(arrival - now)} end
if after > now then redis.call('SET', KEYS[1], after, 'EX', math.ceil(after - now)) end
return {cost, math.floor(left), '-1', tostring(after - now)}
