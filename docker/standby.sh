#!/bin/sh
# A fresh copy of the primary at every start, which it then follows.
set -e
rm -rf "$PGDATA"
pg_basebackup -h primary -U postgres -D "$PGDATA" -X stream -S standby -R
exec postgres -D "$PGDATA" -c listen_addresses='*' -c hot_standby=on
