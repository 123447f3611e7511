// Workload is what the pods of the node's tests run: one static program that does what a test asks for. It answers HTTP
// and gRPC probes, calls others, resolves names, reads, writes, eats memory, and asks the API as its ServiceAccount.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	patience = 3 * time.Second
	account  = "/var/run/secrets/kubernetes.io/serviceaccount/"
)

func main() {
	commands := map[string]func(args []string) error{
		"api": api, "call": call, "eat": eat, "fetch": fetch, "lines": lines, "read": read, "resolve": resolve,
		"serve": serve, "write": write,
	}
	command, known := commands[os.Args[1]]
	if !known {
		log.Fatalf("%s is no command", os.Args[1])
	}
	if err := command(os.Args[2:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// serve answers HTTP on 8080 and gRPC health checks on 9090 until it is told to end: serve [GREETING].
func serve(args []string) error {
	greeting := "hello"
	if len(args) > 0 {
		greeting = args[0]
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		log.Printf("request from %s for %s", r.RemoteAddr, r.URL.Path)
		fmt.Fprintln(w, greeting)
	})
	go func() { log.Fatal(http.ListenAndServe(":8080", nil)) }()
	go func() { log.Fatal(serveHealth(":9090")) }()
	log.Print("serving")
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	log.Print("told to end")
	return nil
}

// serveHealth is grpc.health.v1.Health/Check by hand, so that nothing but the standard library is needed: HTTP/2 without
// TLS, one message with field 1 (status) = 1 (SERVING), the status of the call in the trailers.
func serveHealth(address string) error {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.Write([]byte{0, 0, 0, 0, 2, 8, 1})
		w.Header().Set("Grpc-Status", "0")
	})
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: address, Handler: handler, Protocols: protocols}
	return server.ListenAndServe()
}

// call connects: call HOST:PORT.
func call(args []string) error {
	connection, err := net.DialTimeout("tcp", args[0], patience)
	if err != nil {
		return err
	}
	fmt.Println("open")
	return connection.Close()
}

func fetch(args []string) error {
	client := http.Client{Timeout: patience}
	return show(client.Get(args[0]))
}

// api asks the API server for a path, as the pod's ServiceAccount.
func api(args []string) error {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return err
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
	request, err := http.NewRequest("GET", "https://kubernetes.default.svc"+args[0], nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	client := http.Client{Timeout: patience, Transport: transport}
	return show(client.Do(request))
}

func show(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer response.Body.Close()
	fmt.Println(response.Status)
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func resolve(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, args[0])
	fmt.Println(strings.Join(addresses, " "))
	return err
}

func read(args []string) error {
	content, err := os.ReadFile(args[0])
	os.Stdout.Write(content)
	return err
}

func write(args []string) error { return os.WriteFile(args[0], []byte(args[1]), 0o644) }

// lines prints lines and ends.
func lines(args []string) error {
	for _, line := range args {
		fmt.Println(line)
	}
	return nil
}

// eat holds so many MiB of memory: eat MIB.
func eat(args []string) error {
	wanted, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var held [][]byte
	for range wanted {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = byte(i)
		}
		held = append(held, block)
	}
	fmt.Println("ate", len(held))
	time.Sleep(time.Hour)
	return nil
}
