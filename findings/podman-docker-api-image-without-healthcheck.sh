#!/bin/sh
# podman 4.3.1, 5.4.2: asked for an image by Docker's API, it tells all of its configuration but the health check.
#
# An image with a HEALTHCHECK is loaded from an archive as Docker writes them. `GET /images/NAME/json` of the API that is compatible with
# Docker then has Cmd, ExposedPorts, User, Volumes and StopSignal of it in `Config`, as Docker 28.5.2 has them, and no `Healthcheck`,
# which Docker tells there. It was not lost: podman's own API (`/libpod/images/NAME/json`) tells it as `Healthcheck`. So who decides by
# the image whether a container has a health check to wait for sees none on podman, and has to look at the container.
#
# Takes Debian's packages (bookworm, trixie) into roots in a temporary directory, serves the API on a Unix socket, runs no container, and
# fails when that changes. Needs root (to unpack and to enter the roots), curl and Python. No network otherwise.
set -eu

READY_SECONDS_MAX=30

dir=$(mktemp -d)
pid=''
stop() {
    if [ -n "$pid" ]; then
        # shellcheck disable=SC2046 # the first process of the namespace, with which all of it ends
        kill -KILL $(pgrep --parent "$pid") 2>/dev/null || kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    fi
    pid=''
}
trap 'stop; rm -rf --one-file-system "$dir"' EXIT
trap 'exit 1' INT TERM HUP
cd "$dir"
chmod 755 "$dir"

# Where this host has Debian's packages from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$')

# Makes a root of what podman needs, unpacked only.
make_root() {
    mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial" "$1/root"
    : >"$1/apt/status" # nothing is installed there
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" >"$1/apt/sources.list"
    cat >"$1/apt/apt.conf" <<CONF
Dir::Etc::SourceList "$dir/$1/apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$dir/$1/apt/lists";
Dir::State::Status "$dir/$1/apt/status";
Dir::Cache "$dir/$1/apt";
Acquire::Languages "none";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
CONF
    export APT_CONFIG="$dir/$1/apt/apt.conf"
    if ! { apt-get -qq update && apt-get -qq -y --download-only install base-files dash coreutils podman runc \
        netavark; } >>apt.log 2>&1; then
        tail -n 5 apt.log >&2
        exit 1
    fi
    # First the links that merge /bin and /lib with /usr.
    for deb in "$1"/apt/archives/base-files_*.deb "$1"/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$1/root"
    done
    echo 'root:x:0:0:root:/:/bin/sh' >"$1/root/etc/passwd"
}

# An image of one file and the configuration that is looked for again.
python3 - <<'PY'
import hashlib, io, json, tarfile

def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()

layer = archive([("bin/program", b"#!/bin/sh\n")])
config = {
    "Cmd": ["/bin/program"], "ExposedPorts": {"7000/tcp": {}}, "User": "5", "Volumes": {"/data": {}}, "StopSignal": "SIGQUIT",
    "Healthcheck": {"Test": ["CMD", "/bin/program", "check"], "Interval": 1000000000},
}
image = {
    "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": config,
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
}
manifest = [{"Config": "config.json", "RepoTags": ["localhost/checked:1"], "Layers": ["layer.tar"]}]
with open("image.tar", "wb") as out:
    out.write(archive([
        ("config.json", json.dumps(image).encode()), ("layer.tar", layer), ("manifest.json", json.dumps(manifest).encode())]))
PY

for suite in bookworm trixie; do
    make_root "$suite"
    root=$dir/$suite/root
    mkdir -p "$root/socket" "$root/proc" "$root/dev" "$root/sys" "$root/run" "$root/tmp" "$root/etc/containers"
    printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >"$root/etc/containers/containers.conf"
    printf '[storage]\ndriver = "vfs"\nrunroot = "/run/storage"\ngraphroot = "/var/lib/storage"\n' >"$root/etc/containers/storage.conf"
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount --pid --net --fork --kill-child sh -euc \
        'mount --bind "$1" "$1"; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --rbind /sys "$1/sys"; exec chroot "$@"' - "$root" \
        /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ podman system service -t 0 unix:///socket/podman \
        </dev/null >"$suite.log" 2>&1 &
    pid=$!
    ask() { curl --silent --max-time 20 --unix-socket "$root/socket/podman" "$@"; }
    seconds=0
    until ask --fail --output /dev/null http://localhost/_ping; do
        seconds=$((seconds + 1))
        [ "$seconds" -le "$READY_SECONDS_MAX" ] || { tail -n 5 "$suite.log" >&2; exit 1; }
        sleep 1
    done
    ask --fail-with-body --request POST --header "Content-Type: application/x-tar" --data-binary @image.tar \
        http://localhost/images/load >"$suite.loaded" || { cat "$suite.loaded" "$suite.log" >&2; exit 1; }
    ask http://localhost/version >"$suite.version"
    ask http://localhost/images/localhost/checked:1/json >"$suite.docker"
    ask http://localhost/v4.0.0/libpod/images/localhost/checked:1/json >"$suite.own"
    stop
    python3 - "$suite" <<'PY'
import json, sys

suite = sys.argv[1]
version, docker, own = (json.load(open(f"{suite}.{name}")) for name in ("version", "docker", "own"))
told = {name: docker["Config"].get(name) for name in ("Cmd", "ExposedPorts", "User", "Volumes", "StopSignal", "Healthcheck")}
print(f"podman {version['Version']}, by Docker's API: {json.dumps(told)}")
print(f"podman {version['Version']}, by its own: {json.dumps(own.get('Healthcheck'))}")
check = {"Test": ["CMD", "/bin/program", "check"], "Interval": 1000000000}
if own.get("Healthcheck") != check:
    sys.exit("its own API does not tell the health check: the image was not taken as it is")
if told["Healthcheck"] is not None:
    sys.exit("the API that is compatible with Docker tells the health check now")
if told["Cmd"] != ["/bin/program"] or told["StopSignal"] != "SIGQUIT":
    sys.exit("it does not tell the rest of the configuration, either")
PY
done
