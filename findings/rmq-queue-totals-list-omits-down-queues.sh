#!/bin/sh
# RabbitMQ 4.0.5, 4.3.6: with `enable_queue_totals` the list of queues leaves out a classic queue whose node was lost.
#
# `GET /api/queues/VHOST?disable_stats=true&enable_queue_totals=true` is the list with few columns and the numbers of messages, for those
# who do not want what is dear. Seen here, in a cluster of two nodes of which one is cut off as by a power cut: that list has only the
# other node's queue, with status 200 and nothing that says so, while the list without `enable_queue_totals`, with or without statistics,
# has both and calls one `down`, and what is asked of the queue alone says `running`. After a stop by `rabbitmqctl stop` it is in all
# lists as `down`, and alone it is `stopped`. So a queue that is missing in the cheap list is not one that was deleted, and a monitor
# that sums up its numbers has to look at the list without totals for what it does not see.
#
# Takes Debian's packages (trixie, forky) into roots in a temporary directory, runs two nodes on loopback, and fails when that changes.
# Needs root (each node runs with the C library of its suite), curl and Python. No network otherwise.
set -eu

READY_SECONDS_MAX=120

dir=$(mktemp -d)
epmd_pid='' one_pid='' two_pid=''

# Ends what runs in namespaces, at once, as a power cut would: with the first process of those all of them are gone.
cut_power() {
    for pid in "$@"; do
        # shellcheck disable=SC2046
        kill -KILL $(pgrep --parent "$pid") 2>/dev/null || kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
}
clean_up() {
    # shellcheck disable=SC2086
    cut_power $one_pid $two_pid $epmd_pid
    rm -rf --one-file-system "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP
cd "$dir"
chmod 755 "$dir"

# Where this host has Debian's packages from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$')

# Makes a root of what a package needs, unpacked only.
make_root() {
    suite=$1
    shift
    mkdir -p "$suite/apt/lists/partial" "$suite/apt/archives/partial" "$suite/root"
    : >"$suite/apt/status" # nothing is installed there
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$suite/apt/sources.list"
    cat >"$suite/apt/apt.conf" <<CONF
Dir::Etc::SourceList "$dir/$suite/apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$dir/$suite/apt/lists";
Dir::State::Status "$dir/$suite/apt/status";
Dir::Cache "$dir/$suite/apt";
Acquire::Languages "none";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
CONF
    export APT_CONFIG="$dir/$suite/apt/apt.conf"
    if ! { apt-get -qq update && apt-get -qq -y --download-only install base-files dash coreutils sed grep hostname \
        procps "$@"; } >>apt.log 2>&1; then
        tail -n 5 apt.log >&2
        exit 1
    fi
    # First the links that merge /bin and /lib with /usr.
    for deb in "$suite"/apt/archives/base-files_*.deb "$suite"/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$suite/root"
    done
    echo '127.0.0.1 localhost' >"$suite/root/etc/hosts"
    echo 'root:x:0:0:root:/node:/bin/sh' >"$suite/root/etc/passwd"
    mkdir -p "$suite/root/node"
    echo '[rabbitmq_management].' >"$suite/root/node/enabled_plugins"
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$suite/root/node/.erlang.cookie"
    chmod 400 "$suite/root/node/.erlang.cookie"
}

# Becomes a program in the root, in namespaces for processes and mounts that end with it.
inside() {
    # shellcheck disable=SC2016 # for the inner shell
    exec unshare --mount --pid --fork --kill-child sh -euc 'mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"; exec chroot "$@"' \
        - "$dir/$suite/root" /usr/bin/env -i PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/node LANG=C.UTF-8 \
        ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_CONF_ENV_FILE=/dev/null "$@"
}

# Starts a node: name, AMQP port, management port, distribution port.
start_node() {
    cat >"$suite/root/node/$1.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$2
management.tcp.ip = 127.0.0.1
management.tcp.port = $3
disk_free_limit.absolute = 10MB
vm_memory_high_watermark.absolute = 1GiB
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = one@localhost
cluster_formation.classic_config.nodes.2 = two@localhost
CONF
    (inside RABBITMQ_NODENAME="$1@localhost" RABBITMQ_DIST_PORT="$4" RABBITMQ_CONFIG_FILE="/node/$1.conf" \
        RABBITMQ_ADVANCED_CONFIG_FILE="/node/$1.config" RABBITMQ_GENERATED_CONFIG_DIR="/node/$1.generated" \
        RABBITMQ_MNESIA_BASE="/node/$1" RABBITMQ_LOG_BASE="/node/$1.log" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="/node/$1.pid" \
        RABBITMQ_ENABLED_PLUGINS_FILE=/node/enabled_plugins \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
        /usr/lib/rabbitmq/bin/rabbitmq-server) </dev/null >"$suite/$1.out" 2>&1 &
}

# Asks a management port: port, path, further arguments of curl.
ask() {
    port=$1 path=$2
    shift 2
    curl --silent --fail --noproxy '*' --max-time 10 --user guest:guest "$@" "http://127.0.0.1:$port/api/$path"
}

# Waits until a command is true: what for, the command.
wait_for() {
    what=$1 tries=0
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $((tries += 1)) -gt $((READY_SECONDS_MAX * 2)) ]; then
            tail -n 20 "$suite"/*.out >&2
            echo "waited too long for $what" >&2
            exit 1
        fi
        sleep 0.5
    done
}
both_run() { [ "$(ask "$one" 'nodes?columns=running' | grep -o '"running":true' | wc -l)" = 2 ]; }
one_runs() { [ "$(ask "$one" 'nodes?columns=running' | grep -o '"running":true' | wc -l)" = 1 ]; }

show() {
    python3 -c '
import json
import sys

rows = json.load(sys.stdin)
rows = rows if isinstance(rows, list) else [rows]
print(sys.argv[1] + ":", ", ".join(sorted(row["name"] + " " + row["state"] for row in rows)))' "$1"
}
show_all() {
    ask "$one" 'queues/%2F' | show "$1, list"
    ask "$one" 'queues/%2F?disable_stats=true' | show "$1, list with disable_stats"
    ask "$one" 'queues/%2F?disable_stats=true&enable_queue_totals=true' | show "$1, list with disable_stats and enable_queue_totals"
    ask "$one" 'queues/%2F/on-two' | show "$1, single"
}

try_cluster() {
    make_root "$@"
    # Seven ports that are free at the same time.
    # shellcheck disable=SC2046
    set -- $(python3 -c '
import socket

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(7)]
print(*(one.getsockname()[1] for one in sockets))')
    epmd_port=$1 one=$3 two=$6
    (inside /usr/bin/epmd -address 127.0.0.1 -port "$epmd_port") </dev/null >"$suite/epmd.out" 2>&1 &
    epmd_pid=$!
    start_node one "$2" "$3" "$4"
    one_pid=$!
    start_node two "$5" "$6" "$7"
    two_pid=$!
    wait_for 'two nodes' both_run
    for name in one two; do
        ask "$one" "queues/%2F/on-$name" -X PUT -H 'content-type: application/json' \
            -d "{\"durable\":true,\"node\":\"$name@localhost\"}"
    done
    echo "RabbitMQ $(ask "$one" overview | grep -o '"rabbitmq_version":"[0-9.]*"' | cut -d'"' -f4)"
    sleep 5
    show_all 'both nodes'

    cut_power $two_pid
    two_pid=''
    wait_for 'the end of the second' one_runs
    sleep 10
    show_all 'two lost'

    start_node two "$5" "$6" "$7"
    two_pid=$!
    wait_for 'two nodes again' both_run
    (inside rabbitmqctl -n two@localhost stop) </dev/null >"$suite/stop.out" 2>&1
    wait "$two_pid" || :
    two_pid=''
    wait_for 'the stop of the second' one_runs
    sleep 10
    show_all 'two stopped'

    cut_power $one_pid $epmd_pid
    one_pid='' epmd_pid=''
}
{
    try_cluster trixie rabbitmq-server=4.0.5-6+deb13u2 erlang-base=1:27.3.4.1+dfsg-1+deb13u4
    try_cluster forky rabbitmq-server=4.3.6-1 erlang-base=1:29.1.1+dfsg-1
} >seen

cat >expected <<'SEEN'
RabbitMQ 4.0.5
both nodes, list: on-one running, on-two running
both nodes, list with disable_stats: on-one running, on-two running
both nodes, list with disable_stats and enable_queue_totals: on-one running, on-two running
both nodes, single: on-two running
two lost, list: on-one running, on-two down
two lost, list with disable_stats: on-one running, on-two down
two lost, list with disable_stats and enable_queue_totals: on-one running
two lost, single: on-two running
two stopped, list: on-one running, on-two down
two stopped, list with disable_stats: on-one running, on-two down
two stopped, list with disable_stats and enable_queue_totals: on-one running, on-two down
two stopped, single: on-two stopped
RabbitMQ 4.3.6
both nodes, list: on-one running, on-two running
both nodes, list with disable_stats: on-one running, on-two running
both nodes, list with disable_stats and enable_queue_totals: on-one running, on-two running
both nodes, single: on-two running
two lost, list: on-one running, on-two down
two lost, list with disable_stats: on-one running, on-two down
two lost, list with disable_stats and enable_queue_totals: on-one running
two lost, single: on-two running
two stopped, list: on-one running, on-two down
two stopped, list with disable_stats: on-one running, on-two down
two stopped, list with disable_stats and enable_queue_totals: on-one running, on-two down
two stopped, single: on-two stopped
SEEN
cat seen
diff expected seen
