#!/usr/bin/env bash
# Asks every service for its /health, and PostgreSQL and Redis; exits with 1 when anything is not healthy.
#   -q  print failures only        -v  print versions, dependencies and notes as well
# Host and ports: HEALTH_HOST, API_GATEWAY_PORT, MCP_SERVER_PORT, AIRTABLE_GATEWAY_PORT, LLM_ORCHESTRATOR_PORT,
# AUTH_PORT, USERS_PORT, WORKSPACES_PORT, SAGAS_PORT. With DATABASE_URL and psql, or REDIS_URL and valkey-cli or redis-cli, the databases are
# asked directly; else the services are, which ask them anew for each /health. Needs bash and curl, nothing else.
set -uo pipefail

host=${HEALTH_HOST:-127.0.0.1}
services=(
    "API Gateway:${API_GATEWAY_PORT:-8000}"
    "MCP Server:${MCP_SERVER_PORT:-8001}"
    "Airtable Gateway:${AIRTABLE_GATEWAY_PORT:-8002}"
    "LLM Orchestrator:${LLM_ORCHESTRATOR_PORT:-8003}"
    "Auth Service:${AUTH_PORT:-8004}"
    "User Service:${USERS_PORT:-8005}"
    "Workspace Service:${WORKSPACES_PORT:-8006}"
    "Saga Service:${SAGAS_PORT:-8008}"
)
quiet='' verbose='' failures=0
bodies=() # the /health answers, for the dependencies in them

while getopts qvh option; do
    case $option in
        q) quiet=yes ;;
        v) verbose=yes ;;
        h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
        *) exit 2 ;;
    esac
done

good() { [[ -n $quiet ]] || printf '✅ %s: %s\n' "$1" "$2"; }
bad() { printf '❌ %s: %s\n' "$1" "$2"; failures=$((failures + 1)); }
detail() { [[ -n $verbose && -z $quiet ]] && printf '     %s\n' "$1"; return 0; }

# The flat JSON objects named $2 in $1, and the string or number named $2 in the flat JSON object $1.
objects() { grep -oE "\"$2\" *: *\{[^{}]*\}" <<<"$1" || true; }
value() { sed -nE "s/.*\"$2\" *: *(\"([^\"]*)\"|([0-9.]+)).*/\2\3/p" <<<"$1" | head -n 1; }
# The answer without its checks, whose members have a status of their own.
without_checks() { sed -E 's/"checks" *: *\{([^{}]|\{[^{}]*\})*\}//' <<<"$1"; }
one_line() { tr -s '\r\n\t ' ' ' <<<"$1"; }

check_service() {
    local name=$1 port=$2 answer code body status
    if ! answer=$(curl -sS --noproxy '*' --max-time 10 -w '\n%{http_code}' "http://$host:$port/health" 2>&1); then
        bad "$name ($port)" "no answer ($(one_line "${answer//$'\n'000/}" | sed 's/ *$//'))"
        return
    fi
    code=${answer##*$'\n'}
    body=$(one_line "${answer%$'\n'*}")
    status=$(value "$(without_checks "$body")" status)
    bodies+=("$body")
    if [[ $code == 200 && $status == healthy ]]; then
        good "$name ($port)" Healthy
    else
        bad "$name ($port)" "HTTP $code, status ${status:-missing}$(sick_checks "$body")"
    fi
    describe "$body"
}

sick_checks() {
    local check
    while read -r check; do
        if [[ -n $check && $(value "$check" status) != healthy ]]; then
            printf ', %s %s' "$(sed -E 's/^"([^"]*)".*/\1/' <<<"$check")" "$(value "$check" status)"
        fi
    done < <(objects "$1" '[A-Za-z0-9_-]+')
}

describe() {
    local check note
    detail "version $(value "$(without_checks "$1")" version)"
    while read -r check; do
        [[ -n $check ]] && detail "$check"
    done < <(objects "$1" '[A-Za-z0-9_-]+')
    while read -r note; do
        [[ -n $note ]] && detail "note: $note"
    done < <(grep -oE '"notes" *: *\[[^]]*\]' <<<"$1" | grep -oE '"([^"\\]|\\.)*"' | sed 1d)
    return 0
}

# $1: for people, $2: name of the check in /health, $3: command that asks directly (empty: there is none)
check_database() {
    local name=$1 key=$2 direct=$3 output body check found=''
    if [[ -n $direct ]]; then
        if output=$($direct 2>&1); then good "$name" Connected; else bad "$name" "$(one_line "$output")"; fi
        return
    fi
    for body in ${bodies[@]+"${bodies[@]}"}; do
        check=$(objects "$body" "$key" | head -n 1)
        [[ -z $check ]] && continue
        found=$check
        if [[ $(value "$check" status) == healthy ]]; then
            good "$name" Connected
            return
        fi
    done
    bad "$name" "${found:-no service that answers could ask it}"
}

ask_postgres() { [[ $(psql --no-psqlrc -qAt -d "$DATABASE_URL" -c 'SELECT 1') == 1 ]]; }
ask_redis() { [[ $("$redis_cli" --no-auth-warning -u "$REDIS_URL" PING) == PONG ]]; }

for service in "${services[@]}"; do
    check_service "${service%:*}" "${service##*:}"
done

direct_postgres='' direct_redis=''
[[ -n ${DATABASE_URL:-} ]] && command -v psql >/dev/null && direct_postgres=ask_postgres
redis_cli=$(command -v valkey-cli || command -v redis-cli || true)
[[ -n ${REDIS_URL:-} && -n $redis_cli ]] && direct_redis=ask_redis
check_database PostgreSQL postgres "$direct_postgres"
check_database Redis redis "$direct_redis"

exit $((failures > 0))
