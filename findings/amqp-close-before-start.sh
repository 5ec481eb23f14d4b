#!/bin/sh
# AMQP clients (pika 1.4.4, aiormq 7.2.4, amqplib 2.3.1): a reason that a server gives before its greeting is lost.
#
# AMQP 0-9-1 lets a peer that cannot go on say so by connection.close, with a code and a text. Seen here, where a server sends it in the place
# of connection.start, as something in between may that cannot reach its broker: amqplib and aiormq report only that they expected another
# method, without the text; pika has the text, and calls the whole a protocol that does not fit. py-amqp 5.4.2 reports the code
# and the text as they are. So whoever stands between clients and a broker has to greet first and refuse then.
#
# Takes pinned packages of PyPI and npm into a temporary directory, talks to a few lines on loopback that stand for the server, and fails
# when that changes.
set -eu

dir=$(mktemp -d)
server=''
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv python
python/bin/pip -q install --disable-pip-version-check pika==1.4.4 amqp==5.4.2 aiormq==7.2.4
npm init -y >npm.log
npm install --no-audit --no-fund amqplib@2.3.1 >>npm.log

cat >server.py <<'PY'
import socket, struct

text = b'INTERNAL_ERROR - the broker is away'
payload = struct.pack('>HHH', 10, 50, 541) + bytes([len(text)]) + text + struct.pack('>HH', 0, 0)
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    client.recv(8)
    client.sendall(b'\x01\x00\x00' + struct.pack('>I', len(payload)) + payload + b'\xce')
    client.settimeout(5)
    try:
        client.recv(64)
    except OSError:
        pass
    client.close()
PY
python/bin/python server.py >port &
server=$!
while [ ! -s port ]; do sleep 0.1; done
PORT=$(cat port)
export PORT

cat >clients.py <<'PY'
import asyncio, logging, os
import aiormq, amqp, pika

logging.disable(logging.CRITICAL)
port = int(os.environ['PORT'])


def told(name, connect):
    try:
        connect()
        print(name, 'is connected')
    except Exception as error:
        print(name, type(error).__name__, 'with the text' if 'the broker is away' in str(error) else 'without the text')


told('pika', lambda: pika.BlockingConnection(pika.ConnectionParameters('127.0.0.1', port, connection_attempts=1)))
told('py-amqp', lambda: amqp.Connection(f'127.0.0.1:{port}').connect())
told('aiormq', lambda: asyncio.run(asyncio.wait_for(aiormq.connect(f'amqp://127.0.0.1:{port}/'), 10)))
PY
cat >client.js <<'JS'
require('amqplib').connect(`amqp://127.0.0.1:${process.env.PORT}/`).then(
  () => console.log('amqplib is connected'),
  (error) => console.log('amqplib', error.name, /the broker is away/.test(error.message) ? 'with the text' : 'without the text'),
);
JS
python/bin/python clients.py >seen
node client.js >>seen

cat >expected <<'SEEN'
pika IncompatibleProtocolError with the text
py-amqp InternalError with the text
aiormq InvalidFrameError without the text
amqplib Error without the text
SEEN
cat seen
diff expected seen
