#!/bin/sh
# Gives each service's login role the password that stands in the service's own database URL, so that there is one
# place to change it. Runs after the migrations, which make the roles.
set -eu
PGPASSWORD=$(cat /run/secrets/postgres_password)
export PGPASSWORD
for role in orders payments notifications; do
  url=$(cat "/run/secrets/${role}_database_url")
  password=${url#*://*:}
  password=${password%%@*}
  psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 -v role="$role" -v password="$password" \
    -h postgres -U postgres -d pasdetrois <<'SQL'
SET log_statement = 'none';
ALTER ROLE :"role" LOGIN PASSWORD :'password';
SQL
  echo "the role $role has the password of its URL"
done
