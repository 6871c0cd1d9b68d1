// Command lpsim runs the LivePerson simulator of package lpsim as a process, for anyone who builds a connector, in
// any language. It keeps everything in memory, asks nobody for a password and is no substitute for LivePerson: it
// must never be reachable from outside.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"lpbridge/config"
	"lpbridge/connector/lpsim"
)

// stopTime bounds how long requests in progress are waited for at the end.
const stopTime = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], environment{envconfig.OsLookuper(), os.Environ(), os.Stdout, os.Stderr}))
}

// environment is what a command sees of the world.
type environment struct {
	lookup envconfig.Lookuper
	all    []string
	out    io.Writer
	log    io.Writer
}

// errUsage marks errors of the caller, which exit with 2.
var errUsage = errors.New("wrong arguments")

// execute runs one command and returns the exit code.
func execute(ctx context.Context, args []string, env environment) int {
	err := commandLine(args, env).ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(env.log, "lpsim:", err)
	if _, bad := errors.AsType[*config.Error](err); bad || errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

// commandLine is the program as a tree of commands, about to run with args.
func commandLine(args []string, env environment) *cobra.Command {
	root := &cobra.Command{
		Use: "lpsim", Short: "Play LivePerson for connectors", Version: version(),
		Long:          "lpsim plays LivePerson for connectors until SIGTERM. It is set up by variables:\n\n" + variables(),
		SilenceErrors: true, SilenceUsage: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: there is no command %q; lpsim --help lists them", errUsage, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return play(cmd.Context(), env) },
	}
	root.SetArgs(args)
	root.SetOut(env.out)
	root.SetErr(env.log)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(runCommand(env))
	return root
}

// version is that of the module, as far as the binary knows it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// play serves the simulator until ctx ends.
func play(ctx context.Context, env environment) error {
	c, s, err := load(env)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(env.log, nil))
	c.Logger = logger
	listener, scheme, err := open(s)
	if err != nil {
		return err
	}
	sim := lpsim.New(c)
	greet(env.out, c, scheme, listener.Addr().String())
	if s.CAFile != "" {
		fmt.Fprintln(env.out, "\nTrust the authority in", s.CAFile+", for example with curl --cacert.")
	}
	if !loopback(listener.Addr()) {
		logger.Warn("lpsim has no authentication and is reachable from other machines", "listen", listener.Addr().String())
	}
	return serve(ctx, sim, listener, logger)
}

// open listens where the settings say, and takes TLS too when they ask for it.
func open(s settings) (listener net.Listener, scheme string, err error) {
	if listener, err = net.Listen("tcp", s.Listen); err != nil {
		return nil, "", fmt.Errorf("LPSIM_LISTEN: %w", err)
	}
	if s.CAFile == "" {
		return listener, "http", nil
	}
	if listener, err = secure(listener, s); err != nil {
		return nil, "", fmt.Errorf("LPSIM_CA_FILE: %w", err)
	}
	return listener, "https", nil
}

// secure lets a listener take TLS too, with a certificate of an authority made for this run. The authority is written down
// before anything is served, so that whoever waits for the port finds it.
func secure(listener net.Listener, s settings) (net.Listener, error) {
	authority, err := lpsim.NewAuthority()
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(s.Listen)
	name, _, err := net.SplitHostPort(s.Host)
	if err != nil {
		name = s.Host
	}
	config, err := authority.TLS(host, name)
	if err != nil {
		return nil, err
	}
	return listenEither(listener, config), os.WriteFile(s.CAFile, authority.PEM(), 0o644)
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func serve(ctx context.Context, sim *lpsim.Sim, listener net.Listener, logger *slog.Logger) error {
	server := newServer(sim, logger)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	var err error
	select {
	case err = <-failed:
		sim.Close()
		return err
	case <-ctx.Done():
	}
	// Closing the simulator ends its event streams, which Shutdown would otherwise wait for.
	sim.Close()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err = server.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-failed
	return err
}

func newServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

func greet(out io.Writer, c lpsim.Config, scheme, addr string) {
	webhooks := c.Webhooks.URL
	if webhooks == "" {
		webhooks = "none (set LPSIM_WEBHOOK_URL, or PUT /sim/webhooks)"
	}
	fmt.Fprintf(out, `lpsim plays LivePerson for tests and demonstrations. It is not LivePerson, keeps nothing, and asks
nobody who they are: never use it in production and never expose it.

Agent's page        %[5]s://%[1]s/
Point a connector at
  domain API        %[5]s://%[1]s/api/account/%[2]s/service/baseURI.json?version=1.0
  account           %[2]s
  client id         %[3]s
  client secret     as configured with LPSIM_CLIENT_SECRET (default sandbox-secret)
  administrator     %[6]s, with any password
Webhooks go to      %[4]s

Try
  curl -s %[5]s://%[1]s/sim/conversations
  curl -s %[5]s://%[1]s/sim/stats
  curl -s %[5]s://%[1]s/sim/faults
  curl -s %[5]s://%[1]s/sim/requests?limit=5
  curl -s -X POST %[5]s://%[1]s/sim/conversations -d '{"text":"hello from somebody else'"'"'s consumer"}'
  curl -s -X POST %[5]s://%[1]s/sim/conversations/ID/agent/typing -d '{"chatState":"COMPOSING"}'
  curl -s -X POST %[5]s://%[1]s/sim/conversations/ID/agent/messages -d '{"text":"How can I help?"}'
  curl -sN %[5]s://%[1]s/sim/events
`, addr, c.Account, c.ClientID, webhooks, scheme, c.Admin)
}
