package main

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"lpbridge/connector/lpsim"
)

// simulator is LivePerson, which outlives every kill. It is part of the soak's
// own process: the killer must act while a call is applied and not answered.
type simulator struct {
	*frontDoor
	sim *lpsim.Sim
}

// transcriptKept is how many events of a conversation LivePerson remembers, so
// that all can be compared.
const transcriptKept = 100_000

// retention is how long LivePerson repeats notifications.
const retention = time.Hour

func startSimulator(faults lpsim.Faults, k *killer, log *os.File) (*simulator, error) {
	sim := lpsim.New(lpsim.Config{Faults: faults, MaxTranscript: transcriptKept, Logger: slog.New(slog.NewTextHandler(log, nil))})
	sim.OnApplied(func(a lpsim.Applied) { k.applied(a) })
	door, err := open(sim)
	if err != nil {
		sim.Close()
		return nil, err
	}
	return &simulator{door, sim}, nil
}

func (s *simulator) close() {
	s.sim.Close()
	s.frontDoor.close()
}

// notify tells LivePerson where notifications go.
func (s *simulator) notify(url string) error {
	return s.sim.SetWebhooks(lpsim.Webhooks{URL: url, RetentionSeconds: int(retention.Seconds())})
}

// patience is how long the soak waits for its own simulator: where a machine is too busy
// for a while nothing is wrong.
const patience = 2 * time.Minute

// frontDoor is a listener of the soak's own.
type frontDoor struct {
	url    string
	server *http.Server
	done   chan error
}

// open serves on an address of loopback.
func open(h http.Handler) (*frontDoor, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &frontDoor{"http://" + l.Addr().String(), &http.Server{Handler: h, ReadHeaderTimeout: patience}, make(chan error, 1)}
	go func() { f.done <- f.server.Serve(l) }()
	return f, nil
}

func (f *frontDoor) close() {
	f.server.Close()
	<-f.done
}
