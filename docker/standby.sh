#!/bin/sh
# A fresh copy of the primary at every start, which it then follows. A standby must allow as many connections as its primary.
set -e
rm -rf "$PGDATA"
pg_basebackup -h primary -U postgres -D "$PGDATA" -c fast -X stream -S standby -R
exec postgres -D "$PGDATA" -c listen_addresses='*' -c hot_standby=on -c max_connections=200
