#!/bin/sh
# RabbitMQ 4.0.5, 4.3.6: connections of a deleted user stay listed and counted for ever when their clients were frozen; 3.10.8 forgets them.
#
# Who deletes a user has its connections closed: the broker sends connection.close, waits up to 30 s for the answer, and closes the socket.
# Seen here with clients that do not read in that time, as those on a suspended host: from 4.0.5 on such a connection is gone (its
# socket is closed, and the log says so), but `GET /api/connections/username/USER` tells of it from then on, `DELETE` there answers 204 and
# changes nothing, and the limit `max-connections` of the vhost counts it: with a limit of as many, nobody gets in any more, though nobody
# is connected. Where the client answers at once nothing stays. The broker's log has a badarg of ets:update_counter in
# rabbit_connection_tracking:unregister_tracked/1: the counter of a deleted user is taken away after 15 s, and who is closed later is not
# taken off the lists. So that list is no proof that a user is still connected, and `GET /api/connections` (with statistics) has to be asked.
#
# Takes Debian's packages (bookworm, trixie, forky) into roots in a temporary directory, runs one node after the other on loopback, and fails
# when that changes. Needs root (each node runs with the C library of its suite), curl and Python. No network otherwise.
set -eu

READY_SECONDS_MAX=120
CLOSED_SECONDS=40 # the broker waits 30 s for the answer to its close

dir=$(mktemp -d)
node_pid='' epmd_pid=''

# Ends what runs in namespaces: with the first process of those all of them are gone.
end() {
    for pid in "$@"; do
        # shellcheck disable=SC2046
        kill -KILL $(pgrep --parent "$pid") 2>/dev/null || kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
}
clean_up() {
    # shellcheck disable=SC2086
    end $node_pid $epmd_pid
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

cat >ask.py <<'PY'
"""Opens connections as a user, has the user deleted, and tells what the broker says of them: AMQP port, management port, seconds."""
import base64
import json
import socket
import struct
import sys
import time
import urllib.request

AMQP, MANAGEMENT, SECONDS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
GUEST = "Basic " + base64.b64encode(b"guest:guest").decode()
http = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def api(method, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{MANAGEMENT}/api/{path}", method=method)
    request.add_header("authorization", GUEST)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    with http.open(request, timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text else answer.status


def method_frame(stream):
    kind, _, size = struct.unpack(">BHI", stream.read(7))
    assert kind == 1
    payload = stream.read(size)
    assert stream.read(1) == b"\xce"
    return struct.unpack(">HH", payload[:4])


def send(sock, class_id, method_id, payload):
    payload = struct.pack(">HH", class_id, method_id) + payload
    sock.sendall(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")


class Client:
    """An open AMQP connection; `frozen` ones never read again."""

    def __init__(self, user, vhost):
        self.sock = socket.create_connection(("127.0.0.1", AMQP), timeout=30)
        self.stream = self.sock.makefile("rb")
        self.sock.sendall(b"AMQP\x00\x00\x09\x01")
        assert method_frame(self.stream) == (10, 10)
        login = f"\0{user}\0{user}".encode()
        send(self.sock, 10, 11, struct.pack(">I", 0) + b"\x05PLAIN" + struct.pack(">I", len(login)) + login + b"\x05en_US")
        assert method_frame(self.stream) == (10, 30)
        send(self.sock, 10, 31, struct.pack(">HIH", 2047, 131072, 0))
        send(self.sock, 10, 40, bytes([len(vhost)]) + vhost.encode() + b"\0\0")
        self.opened = method_frame(self.stream) == (10, 41)

    def answer_close(self):
        assert method_frame(self.stream) == (10, 50)
        send(self.sock, 10, 51, b"")

    def is_closed(self):
        """Reads what is left: close, and then the end."""
        self.sock.settimeout(1)
        try:
            while self.sock.recv(4096):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True


def users_connections():
    return len(api("GET", "connections/username/u"))


def try_clients(label, frozen):
    api("PUT", "vhosts/v")
    api("PUT", "users/u", {"password": "u", "tags": ""})
    api("PUT", "permissions/v/u", {"configure": "", "write": "", "read": ""})
    api("PUT", "permissions/v/guest", {"configure": "", "write": "", "read": ""})
    clients = [Client("u", "v") for _ in range(3)]
    assert all(client.opened for client in clients)
    time.sleep(1)
    before = users_connections()
    api("DELETE", "users/u")
    if not frozen:
        for client in clients:
            client.answer_close()
    time.sleep(SECONDS)
    closed = sum(client.is_closed() for client in clients)
    open_ones = sum(row.get("vhost") == "v" and row.get("state") == "running" for row in api("GET", "connections"))
    after = users_connections()
    status = api("DELETE", "connections/username/u")
    api("PUT", "vhost-limits/v/max-connections", {"value": 3})
    allowed = Client("guest", "v").opened
    print(f"{label}: listed {before}, closed {closed}, open {open_ones}, still listed {after},"
          f" after DELETE ({status}) {users_connections()}, with a limit of 3 {'one gets in' if allowed else 'nobody gets in'}")
    api("DELETE", "vhosts/v")


print("RabbitMQ", api("GET", "overview")["rabbitmq_version"])
try_clients("clients that answer", frozen=False)
try_clients("frozen clients", frozen=True)
PY

try_version() {
    make_root "$@"
    # Four ports that are free at the same time.
    # shellcheck disable=SC2046
    set -- $(python3 -c '
import socket

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(one.getsockname()[1] for one in sockets))')
    epmd_port=$1
    cat >"$suite/root/node/one.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$2
management.tcp.ip = 127.0.0.1
management.tcp.port = $3
disk_free_limit.absolute = 10MB
vm_memory_high_watermark.absolute = 1GiB
CONF
    (inside /usr/bin/epmd -address 127.0.0.1 -port "$epmd_port") </dev/null >"$suite/epmd.out" 2>&1 &
    epmd_pid=$!
    (inside RABBITMQ_NODENAME=one@localhost RABBITMQ_DIST_PORT="$4" RABBITMQ_CONFIG_FILE=/node/one.conf \
        RABBITMQ_ADVANCED_CONFIG_FILE=/node/one.config RABBITMQ_GENERATED_CONFIG_DIR=/node/generated \
        RABBITMQ_MNESIA_BASE=/node/data RABBITMQ_LOG_BASE=/node/log RABBITMQ_LOGS=- RABBITMQ_PID_FILE=/node/one.pid \
        RABBITMQ_ENABLED_PLUGINS_FILE=/node/enabled_plugins \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
        /usr/lib/rabbitmq/bin/rabbitmq-server) </dev/null >"$suite/out" 2>&1 &
    node_pid=$!
    tries=0
    until curl --silent --fail --noproxy '*' --max-time 2 --user guest:guest --output /dev/null "http://127.0.0.1:$3/api/whoami" &&
        python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2)' "$2" 2>/dev/null; do
        if [ $((tries += 1)) -gt $((READY_SECONDS_MAX * 2)) ]; then
            tail -n 20 "$suite/out" >&2
            exit 1
        fi
        sleep 0.5
    done
    python3 ask.py "$2" "$3" "$CLOSED_SECONDS"
    end "$node_pid" "$epmd_pid"
    node_pid='' epmd_pid=''
}
{
    try_version bookworm rabbitmq-server=3.10.8-1.1+deb12u1 erlang-base=1:25.2.3+dfsg-1+deb12u4
    try_version trixie rabbitmq-server=4.0.5-6+deb13u2 erlang-base=1:27.3.4.1+dfsg-1+deb13u4
    try_version forky rabbitmq-server=4.3.6-1 erlang-base=1:29.1.1+dfsg-1
} >seen

cat >expected <<'SEEN'
RabbitMQ 3.10.8
clients that answer: listed 3, closed 3, open 0, still listed 0, after DELETE (204) 0, with a limit of 3 one gets in
frozen clients: listed 3, closed 3, open 0, still listed 0, after DELETE (204) 0, with a limit of 3 one gets in
RabbitMQ 4.0.5
clients that answer: listed 3, closed 3, open 0, still listed 0, after DELETE (204) 0, with a limit of 3 one gets in
frozen clients: listed 3, closed 3, open 0, still listed 3, after DELETE (204) 3, with a limit of 3 nobody gets in
RabbitMQ 4.3.6
clients that answer: listed 3, closed 3, open 0, still listed 0, after DELETE (204) 0, with a limit of 3 one gets in
frozen clients: listed 3, closed 3, open 0, still listed 3, after DELETE (204) 3, with a limit of 3 nobody gets in
SEEN
cat seen
diff expected seen
