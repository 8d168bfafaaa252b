#!/bin/sh
# Makes each service's login role, with the password that stands in the service's own database URL: one place to change
# it. Runs before the migrations, which leave a role that exists as it is.
set -eu
PGPASSWORD=$(cat /run/secrets/postgres_password)
export PGPASSWORD
for role in orders payments notifications; do
  url=$(cat "/run/secrets/${role}_database_url")
  password=${url#*://*:}
  password=${password%%@*}
  psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 -v role="$role" -v password="$password" \
    -h postgres -U postgres -d pasdetrois <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN PASSWORD :'password';
SQL
  echo "the role $role has the password of its URL"
done
