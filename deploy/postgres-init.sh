# Makes the role and the schema of lpbridge in a new PostgreSQL: the image of PostgreSQL runs
# what is in /docker-entrypoint-initdb.d once. The role has its schema and nothing else.
psql -v ON_ERROR_STOP=1 -v password="$(cat "${DB_PASSWORD_FILE:-/run/secrets/db_password}")" -U postgres -d postgres <<'END'
CREATE ROLE lpbridge LOGIN PASSWORD :'password';
CREATE DATABASE lpbridge ENCODING 'UTF8' TEMPLATE template0;
\c lpbridge
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA lpbridge AUTHORIZATION lpbridge;
END
