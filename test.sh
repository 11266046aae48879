#!/usr/bin/env bash
# Installs what is missing, checks types, lint, imports and unused code, and runs the tests.
# usage: ./test.sh [ROOM…]      for example: ./test.sh policy cas      ("acceptance": the tests that cross rooms)
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-}" in -h | --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac
scripts/setup.sh test
export PATH="$PWD/node_modules/.bin:/usr/sbin:/sbin:$PATH"
npm run --silent check
npm test --silent -- "$@"
