# A stand-in for the official image `postgres`, where images cannot be pulled: Debian's PostgreSQL behind the three
# variables of it that docker-compose.yml sets.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql-15 \
 && rm -rf /var/lib/apt/lists/*

ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
RUN install -d -o postgres -m 700 "$PGDATA"
RUN printf '%s\n' '#!/bin/sh' 'set -eu' \
    'if [ ! -s "$PGDATA/PG_VERSION" ]; then' \
    '  echo "$POSTGRES_PASSWORD" >/tmp/password' \
    '  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256' \
    '  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"' \
    '  echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single postgres' \
    'fi' \
    "exec postgres -c listen_addresses='*'" >/usr/local/bin/start \
 && chmod 755 /usr/local/bin/start

USER postgres
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
CMD ["start"]
