#!/usr/bin/env bash
# The contract's chores: generate | lint | breaking | drift | check (the three before) | accept (the next breaking check compares with today's).
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python scripts/protos.py "$@"
