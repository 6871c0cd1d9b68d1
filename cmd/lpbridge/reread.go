package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"lpbridge/bridge/console"
	"lpbridge/config"
)

// rereadOnSignal looks at SIGHUP whether secrets and certificates in files were
// replaced. The client secret and certificates are also read again by themselves;
// the signal is for who wants to see at once that the new one is taken.
func (a *app) rereadOnSignal() (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	var reading sync.WaitGroup
	reading.Go(func() {
		for range hangup {
			a.settings.log.Info("reading secrets again")
			a.lp.secrets.Reread()
			a.rereadTokens()
			a.publicTLS.reread()
			a.adminTLS.reread()
		}
	})
	return sync.OnceFunc(func() {
		signal.Stop(hangup)
		close(hangup)
		reading.Wait()
	})
}

// rereadTokens takes new tokens of the admin listener. A file that cannot be read,
// or holds none, changes nothing: nobody would be an operator, or everybody.
func (a *app) rereadTokens() {
	var section struct {
		Bridge config.Bridge `env:",prefix=LPBRIDGE_"`
	}
	if _, err := config.Load(&section, a.settings.lookup); err != nil {
		a.settings.log.Warn("tokens of the admin listener not read, the former ones stay in use", "error", err)
		return
	}
	a.tokens.Lock()
	defer a.tokens.Unlock()
	former, now := &a.settings.Bridge.Doors, section.Bridge.Doors
	if now.AdminToken.Equal(former.AdminToken) && now.MetricsToken.Equal(former.MetricsToken) {
		return
	}
	former.AdminToken, former.MetricsToken = now.AdminToken, now.MetricsToken
	if a.operating != nil {
		a.operating.SetTokens(now.AdminToken.Reveal(), now.MetricsToken.Reveal())
	}
	a.settings.log.Info("tokens of the admin listener replaced")
}

// operate makes the console of the admin listener with the tokens of now, and has it take
// new ones.
func (a *app) operate(with func(d config.Doors) *console.Console) *console.Console {
	a.tokens.Lock()
	defer a.tokens.Unlock()
	a.operating = with(a.settings.Bridge.Doors)
	return a.operating
}
