#!/bin/sh
# pika 1.4.4, kombu 5.7.0, amqp091-go 1.5.0, amqplib 2.3.1: a URL with a slash at its end names another vhost in pika.
#
# A vhost's name is a string that may end with a slash, and RabbitMQ's URI specification makes the path `/` the vhost without a name.
# Seen here: all four take `/` for the vhost `/`, against the specification; `//` is the vhost without a name in pika and `/` in the
# others; `/mig/`, the vhost `mig/`, is `mig` in pika, which takes slashes away before anything is said, so that a program that
# should fail (or work) in one vhost works in another; and `%2F` at the end is as safe in all of them. So a slash in a vhost's name
# has to be written as `%2F`, and a path that ends with a slash is not worth writing.
#
# Takes Debian 12's packages and npm's, pip's into a temporary directory, and fails when that changes. No network otherwise.
set -eu

dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
chmod 755 "$dir"
apt-get -qq -o APT::Sandbox::User=root download golang-1.19-go=1.19.8-2 golang-1.19-src=1.19.8-2 \
    golang-github-rabbitmq-amqp091-go-dev=1.5.0-2 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" root; done
npm init -y >npm.log
npm install --silent --no-audit --no-fund amqplib@2.3.1 >>npm.log 2>&1
python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target py pika==1.4.4 kombu==5.7.0

cat >urls <<'URLS'
amqp://u:p@127.0.0.1
amqp://u:p@127.0.0.1/
amqp://u:p@127.0.0.1//
amqp://u:p@127.0.0.1/mig/
amqp://u:p@127.0.0.1/mig%2F
URLS
cat >read.go <<'GO'
package main

import (
	"bufio"
	"fmt"
	"os"

	amqp "github.com/rabbitmq/amqp091-go"
)

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		uri, err := amqp.ParseURI(lines.Text())
		if err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%q\n", uri.Vhost)
	}
}
GO
# amqplib has no parser to call: what it sends to a server that says as much as is needed is its vhost.
cat >read.js <<'JS'
const net = require('net');
const amqp = require('amqplib');

function frame(method, args) {
  const payload = Buffer.concat([Buffer.from([0, 10, 0, method]), args]);
  const head = Buffer.alloc(7);
  head.writeUInt8(1, 0);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([206])]);
}
const long = (text) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);
const start = frame(10, Buffer.concat([Buffer.from([0, 9, 0, 0, 0, 0]), long('PLAIN'), long('en_US')]));
const tune = frame(30, Buffer.from([7, 255, 0, 2, 0, 0, 0, 0]));

const ask = (url) => new Promise((resolve) => {
  const server = net.createServer((socket) => {
    let seen = Buffer.alloc(0);
    let step = 0;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      seen = Buffer.concat([seen, data]);
      if (step === 0 && seen.length >= 8) { seen = seen.subarray(8); step = 1; socket.write(start); }
      while (step > 0 && seen.length >= 7 && seen.length >= 8 + seen.readUInt32BE(3)) {
        const len = seen.readUInt32BE(3);
        const payload = seen.subarray(7, 7 + len);
        seen = seen.subarray(8 + len);
        if (payload.readUInt16BE(2) === 11) socket.write(tune);
        if (payload.readUInt16BE(2) === 40) {
          resolve(payload.subarray(5, 5 + payload.readUInt8(4)).toString());
          socket.destroy();
          server.close();
        }
      }
    });
  });
  server.listen(0, '127.0.0.1', () => {
    amqp.connect(url.replace('127.0.0.1', `127.0.0.1:${server.address().port}`)).catch(() => {});
  });
});
setTimeout(() => process.exit(1), 20000).unref();
(async () => {
  for (const url of require('fs').readFileSync('urls', 'utf8').trim().split('\n')) console.log(JSON.stringify(await ask(url)));
  process.exit(0);
})();
JS
cat >read.py <<'PY'
import json
import sys

sys.path.insert(0, "py")
import kombu
import pika

for url in sys.stdin.read().split():
    print(json.dumps(pika.URLParameters(url).virtual_host), json.dumps(kombu.Connection(url).virtual_host))
PY

GO111MODULE=off GOTOOLCHAIN=local GOROOT="$dir/root/usr/lib/go-1.19" GOPATH="$dir/root/usr/share/gocode" GOCACHE="$dir/cache" \
    CGO_ENABLED=0 "$dir/root/usr/lib/go-1.19/bin/go" run read.go <urls >go.out
node read.js >js.out
python3 read.py <urls >py.out
{
    echo 'path pika kombu amqp091-go amqplib'
    sed 's,.*127.0.0.1,,; s,^$,-,' urls | paste -d ' ' - py.out go.out js.out
} >seen

cat >expected <<'SEEN'
path pika kombu amqp091-go amqplib
- "/" "/" "/" "/"
/ "/" "/" "/" "/"
// "" "/" "/" "/"
/mig/ "mig" "mig/" "mig/" "mig/"
/mig%2F "mig/" "mig/" "mig/" "mig/"
SEEN
cat seen
diff expected seen
