#!/bin/sh
# Erlang's re 25.2.3 (PCRE 8.44), 27.3.4.1 (8.45) and 29.1.1 (PCRE2 10.47): `^\S*\h` does not match what `^\S\h` matches.
#
# A repetition gives back what it took, as long as what follows may need that; a library may leave that out where no character is in
# both sets. Seen here, on valid patterns and short subjects: some sets that overlap are taken for disjoint, and nothing is found.
# `^\P{Ll}*\P{Lu}$`, characters that are no lower-case letters and a last one that is no upper-case letter, does not match `1`, nor do
# `\P{L}*\P{N}` a `-`, `\S*\h` and `\S*\v` a space and a new line of Latin-1, each of which is `\S` as well, `.*\R` a carriage return,
# and `\w*\xff` a byte 255 (in 29 it does). With `(*NO_AUTO_POSSESS)` each matches, as it does with a set written as a class, or with
# `\R` written out. The option `unicode` does not help. RabbitMQ tries names on the patterns of permissions by `re:run`, so what such a
# pattern allows is to be asked of that function, and sets that may overlap are better written as classes.
#
# Takes Debian's packages (bookworm, trixie, forky) into roots in a temporary directory, and fails when that changes. Needs root, since
# each Erlang runs with the C library of its suite. No network otherwise.
set -eu

dir=$(mktemp -d)
trap 'rm -rf --one-file-system "$dir"' EXIT
cd "$dir"
chmod 755 "$dir"

# Where this host has Debian's packages from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$')

# Makes a root of what a package needs, unpacked only.
make_root() {
    suite=$1
    shift
    mkdir -p "$suite/apt/lists/partial" "$suite/apt/archives/partial"
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
    if ! { apt-get -qq update && apt-get -qq -y --download-only install base-files dash coreutils sed "$@"; } >>apt.log 2>&1; then
        tail -n 5 apt.log >&2
        exit 1
    fi
    # First the links that merge /bin and /lib with /usr, where the suite has them in a package.
    mkdir "$suite/root"
    if [ "$suite" = bookworm ]; then
        mkdir -p "$suite/root/usr/bin" "$suite/root/usr/sbin" "$suite/root/usr/lib" "$suite/root/usr/lib64"
        for name in bin sbin lib lib64; do ln -s "usr/$name" "$suite/root/$name"; done
    fi
    for deb in "$suite"/apt/archives/base-files_*.deb "$suite"/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$suite/root"
    done
}
make_root bookworm erlang-base=1:25.2.3+dfsg-1+deb12u4
make_root trixie erlang-base=1:27.3.4.1+dfsg-1+deb13u4
make_root forky erlang-base=1:29.1.1+dfsg-1

cat >rows.erl <<'ERL'
-module(rows).
-export([main/0]).

main() ->
    io:format("Erlang ~s, PCRE ~s~n", [otp_version(), re:version()]),
    lists:foreach(fun row/1, [
        {"^\\P{Ll}*\\P{Lu}$", <<"1">>, "^[^\\p{Ll}]*[^\\p{Lu}]$"},
        {"^\\P{L}*\\P{N}$", <<"-">>, "^[^\\p{L}]*[^\\p{N}]$"},
        {"^\\S*\\h$", <<"k", 160>>, "^\\S*[\\h]$"},
        {"^\\S*\\v$", <<"k", 133>>, "^\\S*[\\v]$"},
        {"^.*\\R$", <<"k\r">>, "^.*(?:\\r\\n|\\n|\\x0b|\\f|\\r|\\x85)$"},
        {"^\\w*\\xff$", <<"k", 255>>, "^[\\w]*\\xff$"},
        {"^\\S\\h$", <<"k", 160>>, "^\\S[\\h]$"},
        {"^\\S\\v$", <<"k", 133>>, "^\\S[\\v]$"}]),
    io:format("with unicode: ~p~n", [re:run([$k, 160], "^\\S*\\h$", [unicode, {capture, none}])]),
    halt().

row({Pattern, Subject, Class}) ->
    io:format("~s ~w: ~p, (*NO_AUTO_POSSESS) ~p, ~s ~p~n",
        [Pattern, Subject, run(Subject, Pattern), run(Subject, "(*NO_AUTO_POSSESS)" ++ Pattern), Class, run(Subject, Class)]).

otp_version() ->
    Release = erlang:system_info(otp_release),
    {ok, Version} = file:read_file(filename:join([code:root_dir(), "releases", Release, "OTP_VERSION"])),
    string:trim(Version).

run(Subject, Pattern) -> re:run(Subject, Pattern, [{capture, none}]).
ERL
for suite in bookworm trixie forky; do
    mkdir -p "$suite/root/rows"
    cp rows.erl "$suite/root/rows"
    # Its process namespace ends with it, and its mounts too.
    unshare --mount --pid --fork --kill-child sh -euc 'mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"; exec chroot "$@"' \
        - "$dir/$suite/root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/rows LANG=C.UTF-8 \
        sh -euc 'cd /rows; erlc rows.erl; erl -noshell -run rows main' </dev/null
done >seen

cat >expected <<'SEEN'
Erlang 25.2.3, PCRE 8.44 2020-02-12
^\P{Ll}*\P{Lu}$ <<49>>: nomatch, (*NO_AUTO_POSSESS) match, ^[^\p{Ll}]*[^\p{Lu}]$ match
^\P{L}*\P{N}$ <<45>>: nomatch, (*NO_AUTO_POSSESS) match, ^[^\p{L}]*[^\p{N}]$ match
^\S*\h$ <<107,160>>: nomatch, (*NO_AUTO_POSSESS) match, ^\S*[\h]$ match
^\S*\v$ <<107,133>>: nomatch, (*NO_AUTO_POSSESS) match, ^\S*[\v]$ match
^.*\R$ <<107,13>>: nomatch, (*NO_AUTO_POSSESS) match, ^.*(?:\r\n|\n|\x0b|\f|\r|\x85)$ match
^\w*\xff$ <<107,255>>: nomatch, (*NO_AUTO_POSSESS) match, ^[\w]*\xff$ match
^\S\h$ <<107,160>>: match, (*NO_AUTO_POSSESS) match, ^\S[\h]$ match
^\S\v$ <<107,133>>: match, (*NO_AUTO_POSSESS) match, ^\S[\v]$ match
with unicode: nomatch
Erlang 27.3.4.1, PCRE 8.45 2021-06-15
^\P{Ll}*\P{Lu}$ <<49>>: nomatch, (*NO_AUTO_POSSESS) match, ^[^\p{Ll}]*[^\p{Lu}]$ match
^\P{L}*\P{N}$ <<45>>: nomatch, (*NO_AUTO_POSSESS) match, ^[^\p{L}]*[^\p{N}]$ match
^\S*\h$ <<107,160>>: nomatch, (*NO_AUTO_POSSESS) match, ^\S*[\h]$ match
^\S*\v$ <<107,133>>: nomatch, (*NO_AUTO_POSSESS) match, ^\S*[\v]$ match
^.*\R$ <<107,13>>: nomatch, (*NO_AUTO_POSSESS) match, ^.*(?:\r\n|\n|\x0b|\f|\r|\x85)$ match
^\w*\xff$ <<107,255>>: nomatch, (*NO_AUTO_POSSESS) match, ^[\w]*\xff$ match
^\S\h$ <<107,160>>: match, (*NO_AUTO_POSSESS) match, ^\S[\h]$ match
^\S\v$ <<107,133>>: match, (*NO_AUTO_POSSESS) match, ^\S[\v]$ match
with unicode: nomatch
Erlang 29.1.1, PCRE 10.47 2025-10-21
^\P{Ll}*\P{Lu}$ <<49>>: nomatch, (*NO_AUTO_POSSESS) match, ^[^\p{Ll}]*[^\p{Lu}]$ match
^\P{L}*\P{N}$ <<45>>: nomatch, (*NO_AUTO_POSSESS) match, ^[^\p{L}]*[^\p{N}]$ match
^\S*\h$ <<107,160>>: nomatch, (*NO_AUTO_POSSESS) match, ^\S*[\h]$ match
^\S*\v$ <<107,133>>: nomatch, (*NO_AUTO_POSSESS) match, ^\S*[\v]$ match
^.*\R$ <<107,13>>: nomatch, (*NO_AUTO_POSSESS) match, ^.*(?:\r\n|\n|\x0b|\f|\r|\x85)$ match
^\w*\xff$ <<107,255>>: match, (*NO_AUTO_POSSESS) match, ^[\w]*\xff$ match
^\S\h$ <<107,160>>: match, (*NO_AUTO_POSSESS) match, ^\S[\h]$ match
^\S\v$ <<107,133>>: match, (*NO_AUTO_POSSESS) match, ^\S[\v]$ match
with unicode: nomatch
SEEN
cat seen
diff expected seen
