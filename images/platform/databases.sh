#!/bin/sh
# Run once by the PostgreSQL container, on an empty volume: a database and a user for each of Airflow and MLflow.
set -eu
psql --username postgres --set ON_ERROR_STOP=1 <<'SQL'
\getenv password AIRFLOW_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'password';
CREATE DATABASE airflow OWNER airflow ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE airflow FROM PUBLIC;
\getenv password MLFLOW_DB_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'password';
CREATE DATABASE mlflow OWNER mlflow ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
SQL
