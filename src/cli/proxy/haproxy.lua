-- Asks Doorward before a request goes to an app. Printed by `doorward proxy-config haproxy-lua`;
-- it belongs to /etc/haproxy/doorward.lua.

local ASK = "http://{{ doorward }}/api/authz/forward-auth"
-- What Doorward needs to know of the request, beside method and address.
local TOLD = { "cookie", "accept", "x-requested-with", "sec-fetch-mode", "user-agent", "upgrade" }
-- What it says of the person.
local IDENTITY = { {{ quoted }} }

-- A header's values as a list. HAProxy counts from 0.
local function values(headers, name)
  local list = {}
  for _, value in pairs(headers[name] or {}) do
    list[#list + 1] = value
  end
  return list
end

-- The cookies of Doorward are no business of the app.
local function keep_cookies_back(txn, lines)
  local kept = {}
  for _, line in ipairs(lines) do
    for pair in line:gmatch("[^;]+") do
      pair = pair:match("^%s*(.-)%s*$")
      if {% if insecure %}not pair:match("^dw%-%l+="){% else %}not pair:match("^__Host%-Http%-dw%-%l+=") and not pair:match("^__Secure%-dw%-%l+="){% endif %} then
        kept[#kept + 1] = pair
      end
    end
  end
  if #kept > 0 then
    txn.http:req_set_header("cookie", table.concat(kept, "; "))
  else
    txn.http:req_del_header("cookie")
  end
end

core.register_action("doorward", { "http-req" }, function(txn)
  local asked = txn.http:req_get_headers()
  local headers = {
    ["host"] = { "{{ login.host }}" },
    ["x-forwarded-method"] = { txn.sf:method() },
    ["x-forwarded-proto"] = { "{{ scheme }}" },
    ["x-forwarded-host"] = { txn.sf:req_hdr("host") },
    ["x-forwarded-uri"] = { txn.sf:pathq() },
    ["x-forwarded-for"] = { txn.sf:src() },
    ["x-request-id"] = { txn.sf:req_hdr("x-request-id") },
  }
  for _, name in ipairs(TOLD) do
    local list = values(asked, name)
    if #list > 0 then
      headers[name] = list
    end
  end
  local client = core.httpclient()
  local answer = client:get({ url = ASK, headers = headers, timeout = 5000 })
  -- Without an answer nobody passes.
  local status = answer and answer.status or 0
  txn:set_var("txn.doorward_answer", status)
  if status == 302 or status == 303 then
    txn:set_var("txn.doorward_location", values(answer.headers, "location")[1] or "")
  elseif status == 200 then
    for _, name in ipairs(IDENTITY) do
      local value = values(answer.headers, name)[1]
      if value and value ~= "" then
        txn.http:req_set_header(name, value)
      end
    end
    keep_cookies_back(txn, values(asked, "cookie"))
  end
end)
