#!/bin/sh
# Creates the app's role in PostgreSQL and brings the schema up to date, as the principal that deploys.
set -eu
cd "$(dirname "$0")/../.."
if [ "${LOCKSTEP_SKIP_DATABASE:-}" = true ]; then
  echo "LOCKSTEP_SKIP_DATABASE is true: the database is prepared elsewhere (docs/azure.md, A private network)"
  exit 0
fi
exec "${LOCKSTEP_PYTHON:-.venv/bin/python}" infra/hooks/prepare_database.py
