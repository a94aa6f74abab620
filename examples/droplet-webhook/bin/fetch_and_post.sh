#!/bin/sh
exec node --env-file="${SMT_ENV_FILE:-/etc/default/intelliwatt-smt}" "$(dirname "$(readlink -f "$0")")/../node_modules/@intelliwatt/smt-ingest/dist/cli/bin.js" pull "$@"
