#!/bin/sh
# Builds source and binary RPM into results/<distribution>-<version>-<architecture>/, with the logs.
set -eu
top=$(cd "$(dirname "$0")" && pwd)
. "$top/scripts/lib.sh"

usage() {
    cat <<'EOF'
Usage: ./build-rpm.sh [OPTION]...

Builds the source RPM and the binary RPMs of Keylender. They and the logs are put into
results/<environment>/, where the environment is distribution, version and architecture.

  --install-deps      install what is missing; without it the script only says what is
  --mock NAME         build in the mock environment NAME, such as epel-8-x86_64
  --binary FILE       package this program instead of building it
  --release N         release of the package (1)
  --repo DIR          put the packages into a yum repository in DIR, too
  --sign KEY          sign the packages with this key of gpg
  --results DIR       instead of results/<environment>
  --help              this text

The program is linked statically against the C library of this system.
EOF
}

install_deps= mock= binary= release=1 repo= key= results=
while [ $# -gt 0 ]; do
    case $1 in
    --help) usage; exit ;;
    --install-deps) install_deps=1; shift; continue ;;
    --mock | --binary | --release | --repo | --sign | --results) [ $# -ge 2 ] || fail "$1 needs a value" ;;
    *) usage >&2; exit 2 ;;
    esac
    case $1 in
    --mock) mock=$2 ;;
    --binary) binary=$(realpath "$2") ;;
    --release) release=$2 ;;
    --repo) mkdir -p "$2"; repo=$(realpath "$2") ;;
    --sign) key=$2 ;;
    --results) results=$2 ;;
    esac
    shift 2
done

# wants COMMAND INSTALL: what is missing is installed only when that was asked for.
wants() {
    have "$1" && return
    [ -n "$install_deps" ] || fail "$1 is missing: run this again with --install-deps, or install it"
    "$2"
    have "$1" || fail "$1 is still missing"
}
wants rpmbuild need_rpmbuild
[ -z "$repo" ] || wants createrepo_c need_createrepo
[ -z "$mock" ] || have mock || fail "mock is missing: install it by hand, and be in its group"
if [ -z "$binary$mock" ]; then wants cargo need_cargo; wants cc need_cc; fi
[ -z "$binary" ] || [ -x "$binary" ] || fail "$binary is not a program"

architecture=$(uname -m)
if [ -n "$mock" ]; then
    environment=$mock
else
    environment=$(. /etc/os-release 2>/dev/null && echo "$ID-${VERSION_ID:-rolling}" || echo unknown)-$architecture
fi
results=${results:-$top/results/$environment}
mkdir -p "$results"
results=$(realpath "$results")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)

# All times in the packages are that of the commit, so that the same commit gives the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || stat -c %Y "$top/Cargo.toml")}
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/SOURCES" "$work/SPECS"
sed "s/@VERSION@/$version/g; s/@RELEASE@/$release/g" "$top/packaging/keylender.spec" >"$work/SPECS/keylender.spec"
sources() {
    git -C "$top" ls-files -z --cached --others --exclude-standard 2>/dev/null ||
        (cd "$top" && find . \( -name target -o -name results -o -name .git \) -prune -o -type f -print0)
}
sources | sort -z | (cd "$top" && tar -c --null --no-recursion --ignore-failed-read --owner=0 --group=0 --numeric-owner \
    --mode=u+rw,go=rX --mtime="@$SOURCE_DATE_EPOCH" --transform="s,^\(\./\)\?,keylender-$version/," -T - 2>/dev/null) |
    gzip -9n >"$work/SOURCES/keylender-$version.tar.gz"
touch -d "@$SOURCE_DATE_EPOCH" "$work"/SOURCES/* "$work"/SPECS/*

# The binary package is made from the source package, as anybody else would make it.
build() {
    rpmbuild --define "_topdir $work" ${binary:+--define "prebuilt $binary"} --target "$architecture" "$@"
}
log=$results/build.log
say "building keylender $version-$release for $environment; log: $log"
if ! build --nodeps -bs "$work/SPECS/keylender.spec" >"$results/srpm.log" 2>&1; then
    log_tail "$results/srpm.log"
    fail "could not make the source package"
fi
source=$(echo "$work"/SRPMS/*.src.rpm)
if [ -n "$mock" ]; then
    mock -r "$mock" --enable-network --resultdir "$results" --rebuild "$source" >"$log" 2>&1 ||
        { log_tail "$log"; fail "mock failed"; }
else
    build --rebuild "$source" >"$log" 2>&1 || { log_tail "$log"; fail "rpmbuild failed"; }
    cp "$source" "$work/RPMS/$architecture"/*.rpm "$results/"
fi
if [ -n "$key" ]; then
    rpmsign --define "__gpg $(command -v gpg)" --define "_gpg_name $key" --define '_gpg_digest_algo sha256' \
        --addsign "$results"/*.rpm >"$results/sign.log" 2>&1 || { log_tail "$results/sign.log"; fail "could not sign"; }
fi
if [ -n "$repo" ]; then
    cp "$results"/keylender*-"$version-$release.$architecture.rpm" "$repo/"
    createrepo_c --quiet --checksum sha256 --general-compress-type gz "$repo" >"$results/repo.log" 2>&1 ||
        { log_tail "$results/repo.log"; fail "could not make the repository"; }
fi
ls -1 "$results"/*.rpm
