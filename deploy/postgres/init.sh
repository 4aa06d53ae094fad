#!/usr/bin/env bash
# Run once by the PostgreSQL image on an empty volume: one database and one role per service, and a role
# of its own for the reporter vault (architecture §1), which nothing signs in as yet: reporters lie sealed in intake's own tables.
# Nobody may look into a neighbour's database.
set -euo pipefail

query() {
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "${1}" "${@:2}"
}

for service in intake notifier casework registry gateway; do
  variable="${service^^}_DB_PASSWORD"
  : "${!variable:?set $variable}"
  query postgres --set role="$service" --set password="${!variable}" <<'SQL'
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
SQL
  query "$service" --set role="$service" <<'SQL'
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO :"role";
ALTER ROLE :"role" SET timezone = 'UTC';
ALTER ROLE :"role" SET lock_timeout = '10s';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = '60s';
SQL
done

: "${VAULT_DB_PASSWORD:?set VAULT_DB_PASSWORD}"
query intake --set password="$VAULT_DB_PASSWORD" <<'SQL'
CREATE ROLE intake_vault LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'password';
GRANT CONNECT ON DATABASE intake TO intake_vault;
CREATE SCHEMA vault AUTHORIZATION intake_vault;
REVOKE ALL ON SCHEMA vault FROM PUBLIC;
ALTER ROLE intake_vault SET search_path = vault;
SQL

query postgres -c "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC"
