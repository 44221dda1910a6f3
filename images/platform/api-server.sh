#!/bin/sh
# Airflow's pages and API. Its simple user management reads a file, which must not be in the image.
set -eu
umask 077
printf '{"admin": "%s"}\n' "$AIRFLOW_ADMIN_PASSWORD" > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
unset AIRFLOW_ADMIN_PASSWORD
exec airflow api-server --host 0.0.0.0 --port 8080
