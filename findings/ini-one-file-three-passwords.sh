#!/bin/sh
# gcfg 1.2.3, git 2.39, npm ini 6.0.0, Python 3.11's configparser, configobj 5.0.9: one file of settings, three passwords and an error.
#
# Go programs such as Mozilla InvestiGator's read their settings by gcfg, which follows git: a quoted value may hold `#` and `;`, a
# comment may follow it, and quotes in the middle of a value are taken away. A line that is right there is read by the others
# without a word as something else: npm `ini` cuts the quoted value at its first `#` and keeps the opening quote, as soon as a
# comment follows; configparser keeps quotes and the comment as part of the value; configobj raises ParseError. Without quotes gcfg,
# git and `ini` cut at `;`, and Python's do not. So a tool that checks such a file has to use the rules of its reader.
#
# Takes Debian 12's packages and npm's, pip's into a temporary directory, and fails when that changes. Needs git, Node and Python.
set -eu

dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
# As root, apt wants to give its rights away: the directory belongs to its user then.
chmod 755 "$dir"
apt-get -qq -o APT::Sandbox::User=root download golang-1.19-go=1.19.8-2 golang-1.19-src=1.19.8-2 \
    golang-gopkg-gcfg.v1-dev=1.2.3-2 golang-gopkg-warnings.v0-dev=0.1.2-1.1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" root; done
npm init -y >npm.log
npm install --silent --no-audit --no-fund ini@6.0.0 >>npm.log 2>&1
python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target py configobj==5.0.9

cat >settings.cfg <<'CFG'
[mq]
host = "127.0.0.1"
pass = "se#cret;1" ; the password
user = sche"du"ler
vhost = mig;west
CFG

cat >read.go <<'GO'
package main

import (
	"fmt"

	"gopkg.in/gcfg.v1"
)

func main() {
	var c struct{ Mq struct{ Host, Pass, User, Vhost string } }
	if err := gcfg.ReadFileInto(&c, "settings.cfg"); err != nil {
		fmt.Println(err)
	}
	fmt.Println("gcfg:", c.Mq.Pass, "|", c.Mq.User, "|", c.Mq.Vhost)
}
GO
cat >read.js <<'JS'
const { mq } = require('ini').parse(require('fs').readFileSync('settings.cfg', 'utf8'));
console.log('ini:', mq.pass, '|', mq.user, '|', mq.vhost);
JS
cat >read.py <<'PY'
import configparser
import sys

sys.path.insert(0, "py")
import configobj

parser = configparser.ConfigParser()
parser.read("settings.cfg")
print("configparser:", *(parser["mq"][key] + end for key, end in (("pass", " |"), ("user", " |"), ("vhost", ""))))
try:
    print("configobj:", configobj.ConfigObj("settings.cfg")["mq"]["pass"])
except configobj.ConfigObjError as error:
    print("configobj:", type(error).__name__, error)
PY

{
    GO111MODULE=off GOTOOLCHAIN=local GOROOT="$dir/root/usr/lib/go-1.19" GOPATH="$dir/root/usr/share/gocode" GOCACHE="$dir/cache" \
        CGO_ENABLED=0 "$dir/root/usr/lib/go-1.19/bin/go" run read.go
    echo "git: $(git config -f settings.cfg mq.pass) | $(git config -f settings.cfg mq.user) | $(git config -f settings.cfg mq.vhost)"
    node read.js
    python3 read.py
} >seen

cat >expected <<'SEEN'
gcfg: se#cret;1 | scheduler | mig
git: se#cret;1 | scheduler | mig
ini: "se | sche"du"ler | mig
configparser: "se#cret;1" ; the password | sche"du"ler | mig;west
configobj: ParseError Parse error in value at line 3.
SEEN
cat seen
diff expected seen
