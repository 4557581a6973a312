#!/bin/sh
# Three PostgreSQL servers that Patroni looks after, and the etcd that it asks, all on this machine and on loopback only: to
# see what an engine does when its primary is lost. In production each of them has a machine of its own, and etcd has three.
#
#   apt-get install patroni etcd-server postgresql          Debian 12 or later
#   sh deploy/patroni/start.sh /tmp/patroni                 as any user but root, which PostgreSQL refuses
#
# The directory must be new. The script stays until Ctrl-C, which stops everything; what to do meanwhile it says itself.
set -eu

directory=${1:?usage: start.sh DIRECTORY}
nodes="1 2 3"

if [ "$(id -u)" = 0 ]; then
    echo "PostgreSQL refuses to run as root; run this as another user: runuser -u postgres -- sh $0 $directory" >&2
    exit 2
fi
if [ -e "$directory" ]; then
    echo "$directory is there already; name a directory that is not, or remove it" >&2
    exit 2
fi
for program in etcd patroni patronictl; do
    if ! command -v $program >/dev/null; then
        echo "$program is not installed: apt-get install patroni etcd-server postgresql" >&2
        exit 2
    fi
done
bin_dir=$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort -V | tail -n 1 | xargs -r dirname)
if [ -z "$bin_dir" ]; then
    echo "PostgreSQL is not installed: apt-get install postgresql" >&2
    exit 2
fi

umask 077
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

etcd --data-dir "$directory/etcd" --name one --log-level error \
    --listen-client-urls http://127.0.0.1:23790 --advertise-client-urls http://127.0.0.1:23790 \
    --listen-peer-urls http://127.0.0.1:23800 --initial-advertise-peer-urls http://127.0.0.1:23800 \
    --initial-cluster one=http://127.0.0.1:23800 >"$directory/etcd.log" 2>&1 &
children=$!
# Patroni stops its PostgreSQL when it is told to stop; etcd goes last.
stop() {
    trap - INT TERM EXIT
    for child in $children; do
        # Some may have been killed on purpose.
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    done
    exit "$1"
}
trap 'stop 0' INT TERM
trap 'stop $?' EXIT

for node in $nodes; do
    cat >"$directory/pg$node.yml" <<YAML
scope: broadaxe
name: pg$node
restapi: {listen: 127.0.0.1:2380$((node + 4)), connect_address: 127.0.0.1:2380$((node + 4))}
etcd3: {host: 127.0.0.1:23790}
bootstrap:
  dcs:
    # The shortest that Patroni allows: a primary whose machine is lost is replaced after so many seconds. One that only
    # PostgreSQL is lost of is replaced at once (primary_start_timeout).
    ttl: 20
    loop_wait: 2
    retry_timeout: 8
    primary_start_timeout: 0
    # Nothing is acknowledged before a standby has it, and only such a one is promoted.
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {wal_level: replica, hot_standby: "on", max_connections: 100}
  initdb: [{encoding: UTF8}, data-checksums]
postgresql:
  listen: 127.0.0.1:2544$node
  connect_address: 127.0.0.1:2544$node
  data_dir: $directory/pg$node
  bin_dir: $bin_dir
  pgpass: $directory/pgpass$node
  authentication:
    superuser: {username: postgres, password: $password}
    replication: {username: replicator, password: $password}
    rewind: {username: rewind, password: $password}
  parameters: {unix_socket_directories: "$directory"}
  pg_hba:
    - host replication replicator 127.0.0.1/32 scram-sha-256
    - host all all 127.0.0.1/32 scram-sha-256
YAML
    patroni "$directory/pg$node.yml" >"$directory/pg$node.log" 2>&1 &
    children="$! $children"
done

printf 'postgresql://postgres:%s@127.0.0.1:25441,127.0.0.1:25442,127.0.0.1:25443/postgres?target_session_attrs=read-write\n' \
    "$password" >"$directory/url"
echo "waiting for a primary and two standbys (two minutes at most)"
tries=120
until [ "$(patronictl -c "$directory/pg1.yml" list -f tsv 2>/dev/null | grep -c -E 'Leader|running|streaming')" -ge 3 ]; do
    tries=$((tries - 1))
    if [ $tries = 0 ]; then
        echo "they did not come up; see $directory/*.log" >&2
        exit 1
    fi
    sleep 1
done
patronictl -c "$directory/pg1.yml" list
cat <<TEXT

In another terminal:
  broadaxe serve --database-url "\$(cat $directory/url)"
  patronictl -c $directory/pg1.yml list               who is the primary
  patronictl -c $directory/pg1.yml failover           another one becomes it
  pkill -9 -f "$directory/pg1"                        lose the server pg1 as a whole, as a power cut would
Ctrl-C here stops everything.
TEXT
wait
