# Sourced by the other scripts: messages, and `need_…` functions that install what is missing. POSIX sh.
# A `need_…` function says nothing when nothing is missing.
# shellcheck shell=sh

# Servers live in the sbin directories, which people's PATH often lacks.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }
fail() { say "${0##*/}: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# log_tail FILE: shows where a failed step stopped.
log_tail() {
    say "--- last lines of $1"
    tail -n 25 "$1" >&2 || :
    say "---"
}

package_system() {
    if have apt-get; then echo debian; elif have dnf; then echo rpm; else echo none; fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# package_command PACKAGE…: the system's package manager, asking nothing and installing no extras.
package_command() {
    case $(package_system) in
    debian)
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq update &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
                -qq -y --no-install-recommends install "$@"
        ;;
    rpm) as_root dnf -y -q --setopt=install_weak_deps=False install "$@" ;;
    esac
}

# install_packages "DEBIAN PACKAGES" "RPM PACKAGES"
install_packages() {
    case $(package_system) in
    debian) packages=$1 ;;
    rpm) packages=$2 ;;
    none) fail "please install by hand (no apt-get, no dnf here): $1" ;;
    esac
    [ "$(id -u)" = 0 ] || have sudo || fail "please install as root: $packages"
    say "installing $packages"
    install_log=$(mktemp)
    # shellcheck disable=SC2086 # a list of words
    if ! package_command $packages >"$install_log" 2>&1; then
        log_tail "$install_log"
        rm -f "$install_log"
        fail "could not install: $packages"
    fi
    rm -f "$install_log"
}

# need COMMAND "DEBIAN PACKAGES" "RPM PACKAGES"
need() {
    have "$1" && return
    install_packages "$2" "$3"
    have "$1" || fail "$1 is still missing after installing its package"
}

need_cargo() {
    have cargo || fail "no cargo: please install the Rust toolchain that Cargo.toml names as rust-version"
}

# A C compiler, for the one dependency that has C in it (ring).
need_cc() { need cc "gcc libc6-dev" "gcc glibc-devel"; }
need_curl() { need curl "curl ca-certificates" curl; }

need_valgrind() { need valgrind valgrind valgrind; }

need_node() {
    need node "nodejs npm" "nodejs npm"
    need npm npm npm
}

# Debian splits what `python3 -m venv` needs into a package of its own.
need_python() {
    need python3 python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv python3-pip
}

need_rpmbuild() { need rpmbuild rpm rpm-build; }
need_createrepo() { need createrepo_c createrepo-c createrepo_c; }

# What the test of packages needs: to build, check and install them into a directory that has a shell of its own.
need_rpm() {
    need_rpmbuild
    need_createrepo
    need dnf dnf dnf
    need rpmlint rpmlint rpmlint
    need busybox busybox-static busybox
}

# A browser and the program that drives it, for the tests of pages; and letters for it to write with.
need_chromium() {
    need chromedriver "chromium chromium-driver fonts-dejavu-core" "chromium chromedriver dejavu-sans-fonts"
    have chromium || have chromium-browser || fail "chromium is still missing after installing its package"
}

# RabbitMQ's programs; never its system service.
need_rabbitmq() {
    have rabbitmq-server && return
    case $(package_system) in
    debian) ( without_services install_packages rabbitmq-server rabbitmq-server ) || exit 1 ;;
    rpm) rabbitmq_from_rpm ;;
    none) install_packages rabbitmq-server rabbitmq-server ;;
    esac
    have rabbitmq-server || fail "rabbitmq-server is still missing after installing its package"
    # Debian's package also has it started at the next boot.
    if have systemctl; then as_root systemctl disable rabbitmq-server >/dev/null 2>&1 || :; fi
}

# without_services COMMAND…: Debian starts what it installs unless policy-rc.d says no. Call it in a subshell, whose
# traps take the file away again even when we are interrupted. Somebody else's policy-rc.d stays as it is; one that a
# killed run of ours left behind is ours.
without_services() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ] || grep -q 'keylender scripts/lib.sh' $policy; then
        [ "$(id -u)" = 0 ] || have sudo || fail "please install as root: rabbitmq-server"
        trap 'as_root rm -f $policy' EXIT
        trap 'exit 129' HUP
        trap 'exit 130' INT
        trap 'exit 143' TERM
        printf '#!/bin/sh\n# Put here by keylender scripts/lib.sh for the time of one installation.\nexit 101\n' |
            as_root tee $policy >/dev/null
        as_root chmod 755 $policy
    fi
    "$@"
}

# Fedora has RabbitMQ in its own repositories; Enterprise Linux has release packages that add a repository with it.
rabbitmq_from_rpm() {
    [ "$(id -u)" = 0 ] || have sudo || fail "please install as root: rabbitmq-server"
    say "installing rabbitmq-server"
    install_log=$(mktemp)
    for release in '' centos-release-rabbitmq-38 epel-release; do
        [ -z "$release" ] || package_command "$release" >>"$install_log" 2>&1 || continue
        package_command rabbitmq-server >>"$install_log" 2>&1 && { rm -f "$install_log"; return; }
    done
    log_tail "$install_log"
    rm -f "$install_log"
    fail "no repository of this system has rabbitmq-server, nor has centos-release-rabbitmq-38 or epel-release;" \
        "please install RabbitMQ 3.8 or newer with Erlang and run this again (its service need not run)"
}

# An engine of containers, for the test of services: without its network programs podman starts none.
need_containers() {
    missing=
    for program in podman runc iptables busybox unshare nsenter ip; do have "$program" || missing=1; done
    for program in netavark aardvark-dns; do
        [ -x /usr/lib/podman/$program ] || [ -x /usr/libexec/podman/$program ] || missing=1
    done
    [ -z "$missing" ] || install_packages "podman runc netavark aardvark-dns iptables busybox-static iproute2" \
        "podman runc netavark aardvark-dns iptables-nft busybox iproute"
    have podman || fail "podman is still missing after installing its package"
}
