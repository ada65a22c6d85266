-- One kind of request, with tokens and tasks in rotation.
-- Arguments: me | list | one | change | create, the file of the rotation, the number of the turn.

local kind, turn, lines, place

function init(args)
  kind, turn, lines, place = args[1], tonumber(args[3]), {}, 0
  for line in io.lines(args[2]) do
    local token, id = line:match("^(%S+) (%S+)$")
    local headers = { Authorization = "Bearer " .. token }
    if kind == "me" then
      lines[#lines + 1] = wrk.format("GET", "/me", headers)
    elseif kind == "list" then
      lines[#lines + 1] = wrk.format("GET", "/tasks?limit=50", headers)
    elseif kind == "one" then
      lines[#lines + 1] = wrk.format("GET", "/tasks/" .. id, headers)
    else
      headers["Content-Type"] = "application/json"
      lines[#lines + 1] = { path = "/tasks/" .. id, headers = headers }
    end
  end
end

function request()
  local line = lines[place % #lines + 1]
  -- Every change is one: texts differ, and what was ticked off is open again the next time round.
  local pass = math.floor(place / #lines) + turn
  place = place + 1
  if kind == "create" then
    local body = string.format('{"text": "Buy seeds for the spring, bag %d"}', place)
    return wrk.format("POST", "/tasks", line.headers, body)
  elseif kind == "change" then
    local body = string.format(
      '{"text": "Water the plants, time %d", "completed": %s}', pass, tostring(pass % 2 == 0))
    return wrk.format("PATCH", line.path, line.headers, body)
  end
  return line
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nresult {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "status": %d, "socket": %d, "timeout": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
