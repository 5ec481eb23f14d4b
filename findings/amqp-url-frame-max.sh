#!/bin/sh
# amqplib 0.5.2, pika 1.4.4, kombu 5.7.0: no AMQP URL asks all three for larger frames.
#
# RabbitMQ 4.1 and newer take no frames below 8 192 bytes, and amqplib before 0.10.6 offers 4 096 unless its URL says
# `?frameMax=8192`. Seen here: amqplib then offers 8 192, and ignores `frame_max`; pika knows `frame_max` only and raises
# ValueError for `frameMax`; kombu knows neither and raises TypeError, from the constructor of its connection, with the name of
# a Python argument that nobody wrote. So one connection string cannot serve clients of all three.
#
# Installs the packages in a temporary directory (npm, pip), connects to loopback only, and fails when that changes.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >npm.log
npm install --silent --no-audit --no-fund amqplib@0.5.2 >>npm.log 2>&1
python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target py pika==1.4.4 kombu==5.7.0

# A server that says as much as is needed to hear which size of frames a client offers.
cat >offer.js <<'JS'
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
const tune = frame(30, Buffer.from([7, 255, 0, 2, 0, 0, 0, 60]));

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
      if (payload.readUInt16BE(2) === 31) { console.log(payload.readUInt32BE(6)); process.exit(0); }
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  amqp.connect(`amqp://user:secret@127.0.0.1:${server.address().port}/%2F${process.argv[2]}`).catch(() => {});
});
setTimeout(() => process.exit(1), 10000);
JS

cat >urls.py <<'PY'
import sys

sys.path.insert(0, "py")
import kombu
import pika

for query in ("", "?frameMax=8192", "?frame_max=8192", "?heartbeat=30"):
    for name, read in (("pika", pika.URLParameters), ("kombu", kombu.Connection)):
        try:
            read("amqp://user:secret@127.0.0.1:5672/%2F" + query)
            print(name, query or "-", "taken")
        except Exception as error:
            print(name, query or "-", type(error).__name__ + ":", error)
PY

{
    for query in '' '?frameMax=8192' '?frame_max=8192'; do
        echo "amqplib ${query:--} offers $(node offer.js "$query")"
    done
    python3 urls.py
} >seen

cat >expected <<'SEEN'
amqplib - offers 4096
amqplib ?frameMax=8192 offers 8192
amqplib ?frame_max=8192 offers 4096
pika - taken
kombu - taken
pika ?frameMax=8192 ValueError: Unknown URL parameter: 'frameMax'
kombu ?frameMax=8192 TypeError: Connection._init_params() got an unexpected keyword argument 'frameMax'
pika ?frame_max=8192 taken
kombu ?frame_max=8192 TypeError: Connection._init_params() got an unexpected keyword argument 'frame_max'
pika ?heartbeat=30 taken
kombu ?heartbeat=30 taken
SEEN
cat seen
diff expected seen
