#!/usr/bin/env bash
# Asks the running system to list the tables, at the orchestrator and at the door, and checks the answers:
# a tool was used, and every table that the base really has is named. Needs bash and curl, nothing else.
# Host and ports as for health-check.sh. PYAIRTABLE_API_KEY opens the workspace; without it .devkit/demo.env is read,
# which `make demo` writes.
set -euo pipefail

if [[ -z ${PYAIRTABLE_API_KEY:-} ]]; then
    written=$(dirname "$0")/../.devkit/demo.env
    [[ -r $written ]] || { printf '❌ set PYAIRTABLE_API_KEY, or start make demo, which writes %s\n' "$written" >&2; exit 1; }
    # shellcheck source=/dev/null
    source "$written"
fi

host=${HEALTH_HOST:-127.0.0.1}
orchestrator=http://$host:${LLM_ORCHESTRATOR_PORT:-8003}
door=http://$host:${API_GATEWAY_PORT:-8000}
tools=http://$host:${MCP_SERVER_PORT:-8001}
question='{"message": "List all tables in my Airtable base", "session_id": "demo-user"}'

fail() { printf '❌ %s\n' "$1" >&2; exit 1; }

post() {
    local answer
    answer=$(curl -sS --noproxy '*' --max-time 120 -w '\n%{http_code}' -H 'Content-Type: application/json' \
        -H "Authorization: Bearer $PYAIRTABLE_API_KEY" -d "$2" "$1") || fail "$1 does not answer"
    [[ ${answer##*$'\n'} == 200 ]] || fail "$1 answered HTTP ${answer##*$'\n'}: ${answer%$'\n'*}"
    printf '%s' "${answer%$'\n'*}"
}

# The JSON string named $2 in $1, still escaped.
text() { grep -oE "\"$2\" *: *\"([^\"\\\\]|\\\\.)*\"" <<<"$1" | sed -E 's/^"[^"]*" *: *"//; s/"$//'; }

listing=$(post "$tools/tools/call" '{"name": "list_tables", "arguments": {}}')
tables=()
while IFS= read -r table; do
    tables+=("$table")
done < <(text "$(grep -oE '"structured_content" *:.*' <<<"$listing")" name)
((${#tables[@]} > 0)) || fail "the tool list_tables names no table: $listing"

for url in "$orchestrator/chat" "$door/api/chat"; do
    answer=$(post "$url" "$question")
    grep -qE '"tools_used" *: *\[ *"' <<<"$answer" || fail "$url answered without using a tool: $answer"
    response=$(text "$answer" response | head -n 1)
    for table in "${tables[@]}"; do
        [[ $response == *"$table"* ]] || fail "the answer of $url does not name the table $table: $response"
    done
    printf '✅ %s named all %d tables\n' "$url" "${#tables[@]}"
    printf '%b\n\n' "${response//\\\"/\"}" # %b undoes the JSON escapes but that of the quote
done
