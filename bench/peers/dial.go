// Dials once or more with Go's standard dialer and prints when each dial ended.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	secure := flag.Bool("tls", false, "handshake too")
	limit := flag.Duration("limit", 20*time.Second, "give up after this long")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: dial [-tls] [-limit DURATION] HOST PORT")
		os.Exit(64)
	}
	address := net.JoinHostPort(flag.Arg(0), flag.Arg(1))
	context, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	dialer := &net.Dialer{}
	var connection net.Conn
	var err error
	if *secure {
		connection, err = (&tls.Dialer{NetDialer: dialer}).DialContext(context, "tcp", address)
	} else {
		connection, err = dialer.DialContext(context, "tcp", address)
	}
	ended := float64(time.Now().UnixNano()) / 1e9
	if err != nil {
		fmt.Printf("{\"ok\": false, \"at\": %.6f, \"error\": %q}\n", ended, err)
		os.Exit(1)
	}
	fmt.Printf("{\"ok\": true, \"at\": %.6f, \"peer\": %q}\n", ended, connection.RemoteAddr())
	connection.Close()
}
