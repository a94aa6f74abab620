#!/bin/sh
exec node --env-file="${SMT_ENV_FILE:-/etc/default/intelliwatt-smt}" "$(dirname "$(readlink -f "$0")")/../dist/main.js"
