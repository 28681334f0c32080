#!/bin/sh
# "all" in pg_hba.conf does not mean replication.
echo 'host replication all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
psql -v ON_ERROR_STOP=1 -U postgres -c "SELECT pg_create_physical_replication_slot('standby')"
