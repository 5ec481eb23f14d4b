#!/bin/sh
# Go's regexp, 1.19.8 and 1.24.4: `A.|[Aa]b` does not match `ab`, which `[Aa]b` matches, and `[Aa]b|A.` matches `ax`; 1.27.3 is right.
#
# An alternation matches what one of its branches matches, in whatever order they stand. Seen here: where branches begin with one
# letter, as `A` in the first and as `[Aa]` or `(?i:a)` in another, Go up to 1.24 takes that beginning out of both, and keeps the case
# of the first: so the other branch loses a case, or gains one when they are turned around. There is no error, but what regexp/syntax
# prints of such a pattern shows it. An anchor in front of each branch keeps them apart; one in front of a group of them does not.
# It is known as golang/go#59007. A pattern that any Go is to read alike has to write `^` in each branch, or the same letter in the same way.
#
# Takes Debian's packages (bookworm, trixie, forky) into a temporary directory, and fails when that changes. No network otherwise.
set -eu

dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
chmod 755 "$dir"
# Where this host has Debian's packages from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$')
mkdir -p apt/lists/partial apt/archives/partial
: >apt/status
for suite in bookworm trixie forky; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >apt/sources.list
cat >apt/apt.conf <<CONF
Dir::Etc::SourceList "$dir/apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$dir/apt/lists";
Dir::State::Status "$dir/apt/status";
Dir::Cache "$dir/apt";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
export APT_CONFIG="$dir/apt/apt.conf"
apt-get -qq update >apt.log 2>&1
apt-get -qq download golang-1.19-go=1.19.8-2 golang-1.19-src=1.19.8-2 golang-1.24-go=1.24.4-1 golang-1.24-src=1.24.4-1 \
    golang-1.27-go=1.27.3-1 golang-1.27-src=1.27.3-1 >>apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" root; done

cat >match.go <<'GO'
package main

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"runtime"
)

func main() {
	for _, row := range [][2]string{
		{`[Aa]b`, "ab"},
		{`A.|[Aa]b`, "ab"},
		{`A|[Aa]b`, "ab"},
		{`A.*|[Aa]b$`, "ab"},
		{`A.|(?i:a)b`, "ab"},
		{`xA|x[Aa]`, "xa"},
		{`^(?:A.|[Aa]b)$`, "ab"},
		{`^A.|^[Aa]b`, "ab"},
		{`[Aa]b|A.`, "ax"},
		{`^(?:[Aa]b|A.)$`, "ax"},
		{`^[Aa]b|^A.`, "ax"},
	} {
		fmt.Println(runtime.Version(), row[0], row[1], regexp.MustCompile(row[0]).MatchString(row[1]))
	}
	tree, err := syntax.Parse(`A.|[Aa]b`, syntax.Perl)
	fmt.Println(runtime.Version(), tree, err)
}
GO
for version in 1.19 1.24 1.27; do
    GO111MODULE=off GOTOOLCHAIN=local GOROOT="$dir/root/usr/lib/go-$version" GOPATH="$dir/path" GOCACHE="$dir/cache-$version" \
        GOTELEMETRY=off HOME="$dir" CGO_ENABLED=0 "$dir/root/usr/lib/go-$version/bin/go" run match.go
done >seen

cat >expected <<'SEEN'
go1.19.8 [Aa]b ab true
go1.19.8 A.|[Aa]b ab false
go1.19.8 A|[Aa]b ab false
go1.19.8 A.*|[Aa]b$ ab false
go1.19.8 A.|(?i:a)b ab false
go1.19.8 xA|x[Aa] xa false
go1.19.8 ^(?:A.|[Aa]b)$ ab false
go1.19.8 ^A.|^[Aa]b ab true
go1.19.8 [Aa]b|A. ax true
go1.19.8 ^(?:[Aa]b|A.)$ ax true
go1.19.8 ^[Aa]b|^A. ax false
go1.19.8 A(?-s:.) <nil>
go1.24.4 [Aa]b ab true
go1.24.4 A.|[Aa]b ab false
go1.24.4 A|[Aa]b ab false
go1.24.4 A.*|[Aa]b$ ab false
go1.24.4 A.|(?i:a)b ab false
go1.24.4 xA|x[Aa] xa false
go1.24.4 ^(?:A.|[Aa]b)$ ab false
go1.24.4 ^A.|^[Aa]b ab true
go1.24.4 [Aa]b|A. ax true
go1.24.4 ^(?:[Aa]b|A.)$ ax true
go1.24.4 ^[Aa]b|^A. ax false
go1.24.4 (?-s:A.) <nil>
go1.27.3 [Aa]b ab true
go1.27.3 A.|[Aa]b ab true
go1.27.3 A|[Aa]b ab true
go1.27.3 A.*|[Aa]b$ ab true
go1.27.3 A.|(?i:a)b ab true
go1.27.3 xA|x[Aa] xa true
go1.27.3 ^(?:A.|[Aa]b)$ ab true
go1.27.3 ^A.|^[Aa]b ab true
go1.27.3 [Aa]b|A. ax false
go1.27.3 ^(?:[Aa]b|A.)$ ax false
go1.27.3 ^[Aa]b|^A. ax false
go1.27.3 (?-s:A.|(?i:A)b) <nil>
SEEN
cat seen
diff expected seen
