#!/bin/sh
# Go's AMQP clients (streadway/amqp, rabbitmq/amqp091-go 1.5.0 and 1.10.0): a name of 260 bytes goes out as its first 4, one of 256 as none.
#
# AMQP has names of up to 255 bytes, and says their length in one byte. Seen here: these clients send the length modulo 256 and so many
# bytes of the name, and report no error. QueueDeclare of 256 bytes asks for the empty name, for which a broker draws one (`amq.gen-…`);
# of 260 bytes it makes a queue of the first four, whoever else has that name; publishing takes another routing key in the same way.
# 1.16.0 refuses each with an error. So where a name is made of parts, as `mig.agt.linux.` and an id of any length, their sum has to be
# limited to 255 bytes by whoever makes it.
#
# Takes Debian's packages (bookworm, trixie, forky) into a temporary directory, talks to a few lines on loopback that stand for the broker,
# and fails when that changes. No network otherwise.
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
apt-get -qq download golang-1.24-go=1.24.4-1 golang-1.24-src=1.24.4-1 >>apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" go; done
rm -- *.deb
for version in 1.5.0-2 1.10.0-1 1.16.0-1; do
    apt-get -qq download "golang-github-rabbitmq-amqp091-go-dev=$version" >>apt.log 2>&1
    dpkg-deb -x golang-github-rabbitmq-*.deb "amqp091-go $version"
    rm -- *.deb
done
apt-get -qq download golang-github-streadway-amqp-dev=0.0~git20200716.e6b33f4-3 >>apt.log 2>&1
dpkg-deb -x golang-github-streadway-*.deb 'streadway e6b33f4'

cat >main.go.in <<'GO'
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"

	amqp "IMPORT"
)

// frame sends a method.
func frame(to io.Writer, channel, class, method uint16, arguments []byte) {
	head := make([]byte, 11)
	head[0] = 1
	binary.BigEndian.PutUint16(head[1:], channel)
	binary.BigEndian.PutUint32(head[3:], uint32(4+len(arguments)))
	binary.BigEndian.PutUint16(head[7:], class)
	binary.BigEndian.PutUint16(head[9:], method)
	to.Write(append(append(head, arguments...), 0xce))
}

// broker answers as one does, and passes on which names of queues it reads.
func broker(listener net.Listener, names chan<- string) {
	client, _ := listener.Accept()
	io.ReadFull(client, make([]byte, 8))
	frame(client, 0, 10, 10, []byte("\x00\x09\x00\x00\x00\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x05en_US"))
	for {
		head := make([]byte, 7)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
		io.ReadFull(client, payload)
		if head[0] != 1 {
			continue
		}
		channel := binary.BigEndian.Uint16(head[1:])
		switch [2]uint16{binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:])} {
		case [2]uint16{10, 11}: // start-ok
			frame(client, 0, 10, 30, []byte{7, 255, 0, 2, 0, 0, 0, 0})
		case [2]uint16{10, 40}: // open
			frame(client, 0, 10, 41, []byte{0})
		case [2]uint16{20, 10}: // channel.open
			frame(client, channel, 20, 11, make([]byte, 4))
		case [2]uint16{50, 10}: // queue.declare
			length := int(payload[6])
			names <- string(payload[7 : 7+length])
			frame(client, channel, 50, 11, append(append([]byte{payload[6]}, payload[7:7+length]...), make([]byte, 8)...))
		}
	}
}

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	names := make(chan string, 1)
	go broker(listener, names)
	connection, err := amqp.Dial("amqp://a:b@" + listener.Addr().String() + "/")
	if err != nil {
		panic(err)
	}
	channel, err := connection.Channel()
	if err != nil {
		panic(err)
	}
	for _, length := range []int{255, 256, 260} {
		name := strings.Repeat("0123456789", 26)[:length]
		queue, err := channel.QueueDeclare(name, true, false, false, false, nil)
		if err != nil {
			fmt.Println("LABEL:", length, "bytes are refused")
			continue
		}
		sent := <-names
		fmt.Println("LABEL:", length, "bytes are sent as", len(sent), "and called", len(queue.Name), queue.Name == name)
	}
}
GO
for library in 'streadway e6b33f4' 'amqp091-go 1.5.0-2' 'amqp091-go 1.10.0-1' 'amqp091-go 1.16.0-1'; do
    case $library in streadway*) import=github.com/streadway/amqp ;; *) import=github.com/rabbitmq/amqp091-go ;; esac
    mkdir -p program
    sed -e "s|IMPORT|$import|" -e "s|LABEL|$library|" main.go.in >program/main.go
    GO111MODULE=off GOTOOLCHAIN=local GOROOT="$dir/go/usr/lib/go-1.24" GOPATH="$dir/$library/usr/share/gocode" GOCACHE="$dir/cache" \
        GOTELEMETRY=off HOME="$dir" CGO_ENABLED=0 "$dir/go/usr/lib/go-1.24/bin/go" run program/main.go
done >seen

cat >expected <<'SEEN'
streadway e6b33f4: 255 bytes are sent as 255 and called 255 true
streadway e6b33f4: 256 bytes are sent as 0 and called 0 false
streadway e6b33f4: 260 bytes are sent as 4 and called 4 false
amqp091-go 1.5.0-2: 255 bytes are sent as 255 and called 255 true
amqp091-go 1.5.0-2: 256 bytes are sent as 0 and called 0 false
amqp091-go 1.5.0-2: 260 bytes are sent as 4 and called 4 false
amqp091-go 1.10.0-1: 255 bytes are sent as 255 and called 255 true
amqp091-go 1.10.0-1: 256 bytes are sent as 0 and called 0 false
amqp091-go 1.10.0-1: 260 bytes are sent as 4 and called 4 false
amqp091-go 1.16.0-1: 255 bytes are sent as 255 and called 255 true
amqp091-go 1.16.0-1: 256 bytes are refused
amqp091-go 1.16.0-1: 260 bytes are refused
SEEN
cat seen
diff expected seen
