package main

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == partArgument {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		os.Exit(runPart(ctx, os.Args[2:]))
	}
	os.Exit(m.Run())
}

// TestMeasuresLpbridge runs everything with the smallest numbers: what lpbridge says
// to LivePerson must still be what the upstream understands. The numbers it prints
// mean nothing.
func TestMeasuresLpbridge(t *testing.T) {
	var out, log bytes.Buffer
	args := []string{"-rounds=1", "-stage=200ms", "-known=100", "-pending=100", "-rate=50", "-threads=10", "-connections=2", "-upstream-latency=0"}
	if code := execute(t.Context(), args, &out, &log); code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, &log, &out)
	}
	for _, want := range []string{"event to arrival, p50", "typing to arrival, p50", "typing that had to wait, p50", "2 % of 429", "notification to 200, p50", "\n0 requests were not answered with 2xx"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
}

// TestMeasuresOnePart: what was not measured is not reported as nought.
func TestMeasuresOnePart(t *testing.T) {
	var out, log bytes.Buffer
	args := []string{"-only=saturated", "-rounds=1", "-stage=200ms", "-threads=10", "-connections=2"}
	if code := execute(t.Context(), args, &out, &log); code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, &log, &out)
	}
	if got := out.String(); !strings.Contains(got, "delivered messages/s, saturated") || strings.Contains(got, "notification") || strings.Contains(got, "restart") {
		t.Errorf("the report has too much or too little:\n%s", got)
	}
}
