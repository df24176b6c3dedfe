-- `SessionRecord::update` and `SessionData::apply`; changes must be made in Rust, too.
--
-- Session data is a sequence of items `kind name_bytes:value_bytes:name value`; see data.rs. The
-- scripts do not parse values: cjson would round numbers and confuse empty lists with empty maps.
local function least(a, b)
  return tonumber(b) < tonumber(a) and b or a
end

local function most(a, b)
  return tonumber(b) > tonumber(a) and b or a
end

local function parse_items(text)
  local items, at = {}, 1
  while at <= #text do
    local _, head, kind, name, value = string.find(text, '^(%l)(%d+):(%d+):', at)
    local middle = head and head + tonumber(name)
    at = head and middle + tonumber(value) + 1
    if not head or at > #text + 1 then error('session data is not readable') end
    items[#items + 1] = {
      kind = kind,
      name = string.sub(text, head + 1, middle),
      value = string.sub(text, middle + 1, at - 1),
    }
  end
  return items
end

local function render_item(item)
  return item.kind .. #item.name .. ':' .. #item.value .. ':' .. item.name .. item.value
end

local function is_entry(item)
  return item.kind == 'e'
end

local function is_message(item)
  return item.kind == 'm'
end

-- Applies `changes` to `items`. Returns the items, and the number of surplus messages.
local function merge(items, changes)
  local entries, messages, consumed = {}, {}, {}
  for _, item in ipairs(items) do
    if is_entry(item) then entries[item.name] = item end
    if is_message(item) then messages[item.name] = true end
  end
  for _, change in ipairs(changes) do
    local known = entries[change.name]
    if change.kind == 'r' and known then
      known.is_removed, entries[change.name] = true, nil
    elseif is_entry(change) and known then
      known.value = change.value
    elseif is_entry(change) then
      items[#items + 1], entries[change.name] = change, change
    elseif change.kind == 'c' then
      consumed[change.name] = true
    -- The first attempt may have added the message.
    elseif is_message(change) and not (is_retry and messages[change.name]) then
      change.is_new = true
      items[#items + 1] = change
    end
  end
  local left, count = {}, 0
  for _, item in ipairs(items) do
    local is_consumed = is_message(item) and not item.is_new and consumed[item.name]
    if not item.is_removed and not is_consumed then
      left[#left + 1] = item
      if is_message(item) then count = count + 1 end
    end
  end
  return left, count - tonumber(args.max_messages)
end

-- Returns the data after the changes; nothing if it would be too large.
local function merge_text(text)
  local items, surplus = merge(parse_items(text), parse_items(args.data))
  local texts, bytes = {}, 0
  for _, item in ipairs(items) do
    if is_message(item) and surplus > 0 then
      surplus = surplus - 1
    else
      texts[#texts + 1] = render_item(item)
      bytes = bytes + #item.value + (is_entry(item) and #item.name or 0)
    end
  end
  if bytes <= tonumber(args.max_bytes) then return table.concat(texts) end
end

local function write_data(name, text)
  if text == '' then
    redis.call('HDEL', tag, 'd:' .. name)
  else
    redis.call('HSET', tag, 'd:' .. name, text)
  end
end

-- Set if other processes may have cached the session without data. After a first attempt whose
-- response was lost, the earlier state is unknown.
local has_first_data = false

-- Merges the changes into the data. Returns false, changing nothing, if it would be too large.
local function merge_data(name)
  if not args.data then return true end
  local stored = redis.call('HGET', tag, 'd:' .. name)
  local merged = merge_text(stored or '')
  if merged then write_data(name, merged) end
  has_first_data = merged and merged ~= '' and (is_retry or not stored)
  return merged ~= nil
end

local function outcome_of_update(outcome)
  return has_first_data and { outcome, 'first_data' } or { outcome }
end

local function set_last_client(record)
  if not args.device then return end
  local is_other = args.device ~= (record.device or '') or args.ip ~= record.ip
  record.last_device = is_other and args.device or nil
  record.last_ip = is_other and args.ip or nil
end

-- Returns the longest timeout to store; nothing if it equals the timeout of the session itself.
local function longest_to_store(record, timeout)
  local longest = args['longest_' .. timeout]
  if not longest then return record['longest_' .. timeout] end
  return longest ~= (record[timeout] or 'off') and longest or nil
end

local function update(record)
  if record.auth then record.auth = least(record.auth, args.at) end
  record.login = least(record.login, args.at)
  record.seen = least(record.seen, args.at)
  if args.active_at then
    record.seen = most(record.seen, least(args.active_at, args.at))
    set_last_client(record)
  end
  -- An empty text removes the user policy.
  if args.user_policy then
    record.user_policy = args.user_policy ~= '' and args.user_policy or nil
  end
  record.remembered = args.remembered or record.remembered
  record.stamp = args.stamp or record.stamp
  record.key = args.signing_key or record.key
  record.longest_idle = longest_to_store(record, 'idle')
  record.longest_absolute = longest_to_store(record, 'absolute')
end

-- Applies the update to an open record. Writes nothing if the record does not change.
local function store_update(entry, record)
  local before = render(record)
  update(record)
  if render(record) == before then return end
  write(name_of(entry), record)
  index_open(entry, record)
end
