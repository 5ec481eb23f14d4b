#!/bin/sh
# golang-golang-x-crypto-dev 0.4.0 (Debian 12's openpgp for Go) and gpg 2.2.40: of two keys in one file the second is lost, and an RSA
# key is refused for its subkey.
#
# Programs that keep armored public keys in files, such as the agents of Mozilla InvestiGator with those of their investigators, read
# them by x/crypto/openpgp. Seen here, for keys that gpg made, exported and shows: of two armored blocks, one after the other, the
# first is read and the second is left out without an error, where gpg shows both; two keys in one block are both read. A key for
# signatures by RSA, with a subkey for encryption on Curve25519 that no signature needs, is refused as a whole with `invalid oid
# length: 10`; one on Ed25519 is refused with `public key type: 22`. So a key has to be tried with the reader of those who will need it,
# and each stands in a file of its own, without subkeys that are not for signatures.
#
# Takes Debian 12's packages into a temporary directory, makes keys there, and fails when that changes. Needs gpg 2.2 or newer.
set -eu

dir=$(mktemp -d)
trap 'GNUPGHOME="$dir/gpg" gpgconf --kill all; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
chmod 755 "$dir"
apt-get -qq -o APT::Sandbox::User=root download golang-1.19-go=1.19.8-2 golang-1.19-src=1.19.8-2 \
    golang-golang-x-crypto-dev=1:0.4.0-1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" root; done

export GNUPGHOME="$dir/gpg"
mkdir -m 700 gpg
make() { gpg --batch --quiet --passphrase '' --quick-generate-key "$1@example.net" "$2" sign never 2>>gpg.log; }
make alice rsa2048
make erin rsa2048
make frank rsa2048
make bob ed25519
fingerprint=$(gpg --list-keys --with-colons frank@example.net 2>>gpg.log | awk -F: '/^fpr/ { print $10; exit }')
gpg --batch --quiet --passphrase '' --quick-add-key "$fingerprint" cv25519 encr never 2>>gpg.log
for name in alice erin frank bob; do gpg --armor --export "$name@example.net" >"$name.asc"; done
cat alice.asc erin.asc >two-blocks.asc
gpg --armor --export alice@example.net erin@example.net >one-block.asc

cat >read.go <<'GO'
package main

import (
	"fmt"
	"os"

	"golang.org/x/crypto/openpgp"
)

func main() {
	for _, name := range os.Args[1:] {
		file, err := os.Open(name)
		if err != nil {
			panic(err)
		}
		keys, err := openpgp.ReadArmoredKeyRing(file)
		fmt.Println(name, "go:", len(keys), "keys,", err)
	}
}
GO
{
    GO111MODULE=off GOTOOLCHAIN=local GOROOT="$dir/root/usr/lib/go-1.19" GOPATH="$dir/root/usr/share/gocode" \
        GOCACHE="$dir/cache" CGO_ENABLED=0 "$dir/root/usr/lib/go-1.19/bin/go" run read.go \
        alice.asc one-block.asc two-blocks.asc frank.asc bob.asc
    for name in one-block two-blocks frank bob; do
        echo "$name.asc gpg: $(gpg --batch --show-keys --with-colons "$name.asc" 2>>gpg.log | grep -c '^pub') keys"
    done
} >seen

cat >expected <<'SEEN'
alice.asc go: 1 keys, <nil>
one-block.asc go: 2 keys, <nil>
two-blocks.asc go: 1 keys, <nil>
frank.asc go: 0 keys, openpgp: unsupported feature: invalid oid length: 10
bob.asc go: 0 keys, openpgp: unsupported feature: public key type: 22
one-block.asc gpg: 2 keys
two-blocks.asc gpg: 2 keys
frank.asc gpg: 1 keys
bob.asc gpg: 1 keys
SEEN
cat seen
diff expected seen
