package lpsim

import (
	"sync/atomic"
	"time"
)

// installation is what every part of the simulator knows of the account and the app that is configured: the configuration,
// the faults in force, and the counters.
type installation struct {
	Config
	*travel
	force atomic.Pointer[inForce]
	stats stats
}

func newInstallation(config Config) *installation {
	i := &installation{Config: config, travel: &travel{}}
	i.Now = func() time.Time { return config.Now().Add(i.ahead()) }
	i.enforce(config.Faults)
	return i
}

// faults are those in force. Who needs several of them asks once, so that they go together.
func (i *installation) faults() *inForce { return i.force.Load() }

// enforce replaces the faults in force.
func (i *installation) enforce(f Faults) { i.force.Store(enforce(f, i.Now())) }
