// A grpc-go client that plays every call shape against the carrier and prints one JSON object per case.
//
// Usage: client host:port. Messages are raw bytes; the Python side of the test knows what each method does.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }
func (raw) Name() string                       { return "proto" }

const service = "/test.Carrier/"

type client struct{ *grpc.ClientConn }

func (c client) unary(ctx context.Context, method string, in []byte, options ...grpc.CallOption) ([]byte, error) {
	var out []byte
	err := c.Invoke(ctx, service+method, &in, &out, options...)
	return out, err
}

func (c client) open(ctx context.Context, method string) (grpc.ClientStream, error) {
	return c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, service+method)
}

func receive(stream grpc.ClientStream) ([]byte, error) {
	var out []byte
	err := stream.RecvMsg(&out)
	return out, err
}

func check(ok bool, format string, values ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, values...)
}

func echo(c client, size int, options ...grpc.CallOption) error {
	message := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	answer, err := c.unary(context.Background(), "Echo", message, options...)
	if err != nil {
		return err
	}
	return check(bytes.Equal(answer, message), "%d bytes came back", len(answer))
}

func serverStream(c client) error {
	stream, err := c.open(context.Background(), "Count")
	if err != nil {
		return err
	}
	request := binary.BigEndian.AppendUint32(nil, 1000)
	if err := stream.SendMsg(&request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for n := uint32(0); ; n++ {
		message, err := receive(stream)
		if errors.Is(err, io.EOF) {
			return check(n == 1000, "the stream ended after %d messages", n)
		}
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint32(message) != n {
			return fmt.Errorf("message %d is out of order", n)
		}
	}
}

func clientStream(c client) error {
	stream, err := c.open(context.Background(), "Collect")
	if err != nil {
		return err
	}
	for range 500 {
		message := make([]byte, 10_000)
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	answer, err := receive(stream)
	if err != nil {
		return err
	}
	return check(string(answer) == "500 messages, 5000000 bytes", "%q", answer)
}

func bidi(c client) error {
	stream, err := c.open(context.Background(), "Chat")
	if err != nil {
		return err
	}
	for n := range 50 {
		message := []byte(fmt.Sprint("m", n))
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
		answer, err := receive(stream)
		if err != nil || !bytes.Equal(answer, message) {
			return fmt.Errorf("%q, %w", answer, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if answer, err := receive(stream); string(answer) != "bye" {
		return fmt.Errorf("after the half-close: %q, %w", answer, err)
	}
	_, err = receive(stream)
	return check(errors.Is(err, io.EOF), "%v", err)
}

func failure(c client) error {
	var trailer metadata.MD
	_, err := c.unary(context.Background(), "Fail", nil, grpc.Trailer(&trailer))
	is := status.Convert(err)
	if is.Code() != codes.FailedPrecondition || is.Message() != "naïve: 100 % \U0001fa93\n" {
		return fmt.Errorf("%v: %q", is.Code(), is.Message())
	}
	detail := trailer.Get("detail-bin")
	return check(len(detail) == 1 && detail[0] == "\x00\xff\x10", "detail-bin is %q", detail)
}

func failureInStream(c client) error {
	stream, err := c.open(context.Background(), "FailLater")
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if answer, err := receive(stream); string(answer) != "one" {
		return fmt.Errorf("%q, %w", answer, err)
	}
	_, err = receive(stream)
	return check(status.Code(err) == codes.FailedPrecondition, "%v", err)
}

func callMetadata(c client) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "bearer t", "trace-bin", "\x00\xff")
	answer, err := c.unary(ctx, "Metadata", nil)
	if err != nil {
		return err
	}
	return check(string(answer) == "bearer t 00ff", "%q", answer)
}

func unknown(c client) error {
	_, err := c.unary(context.Background(), "NoSuchMethod", nil)
	return check(status.Code(err) == codes.Unimplemented, "%v", err)
}

func deadline(c client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := c.unary(ctx, "Hang", nil)
	return check(status.Code(err) == codes.DeadlineExceeded, "%v", err)
}

func cancellation(c client) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := c.open(ctx, "HangStream")
	if err != nil {
		return err
	}
	if answer, err := receive(stream); string(answer) != "started" {
		return fmt.Errorf("%q, %w", answer, err)
	}
	cancel()
	_, err = receive(stream)
	return check(status.Code(err) == codes.Canceled, "%v", err)
}

func many(c client) error {
	// All are open at once: none is answered before the last has arrived.
	var group sync.WaitGroup
	failures := make(chan error, 2000)
	for range 2000 {
		group.Add(1)
		go func() {
			defer group.Done()
			if _, err := c.unary(context.Background(), "Rendezvous", nil); err != nil {
				failures <- err
			}
		}()
	}
	group.Wait()
	close(failures)
	return <-failures
}

func main() {
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true}))
	if err != nil {
		panic(err)
	}
	c := client{connection}
	zipped := grpc.UseCompressor(gzip.Name)
	cases := []struct {
		name string
		run  func() error
	}{
		{"unary", func() error { return echo(c, 100) }},
		{"empty", func() error { return echo(c, 0) }},
		{"gzip", func() error { return echo(c, 1_000_000, zipped) }},
		{"largest", func() error { return echo(c, 4*1024*1024) }},
		{"server stream", func() error { return serverStream(c) }},
		{"client stream", func() error { return clientStream(c) }},
		{"bidi", func() error { return bidi(c) }},
		{"failure", func() error { return failure(c) }},
		{"failure in stream", func() error { return failureInStream(c) }},
		{"metadata", func() error { return callMetadata(c) }},
		{"unknown method", func() error { return unknown(c) }},
		{"deadline", func() error { return deadline(c) }},
		{"cancellation", func() error { return cancellation(c) }},
		{"2000 at once", func() error { return many(c) }},
		{"unary again", func() error { return echo(c, 100) }},
	}
	out := json.NewEncoder(os.Stdout)
	for _, each := range cases {
		failure := ""
		if err := each.run(); err != nil {
			failure = err.Error()
		}
		if err := out.Encode(map[string]string{"case": each.name, "failure": failure}); err != nil {
			panic(err)
		}
	}
}
