package console

import (
	"net/http"

	"lpbridge/bridge"
)

// Report is the answer of /status.
type Report struct {
	bridge.Status
	Version string `json:"version"`
	// Login says that there is one, and so a way to log out.
	Login     bool      `json:"login"`
	Readiness Readiness `json:"readiness"`
	Traffic   Traffic   `json:"traffic"`
	Refusals  []Refusal `json:"refusals"`
	Journal   Journal   `json:"journal"`
	// Replica is how the process stands to the others that share its journal; nil where it
	// shares it with nobody.
	Replica  *Replica  `json:"replica,omitempty"`
	Settings []Setting `json:"settings"`
}

func (c *Console) serveStatus(w http.ResponseWriter, r *http.Request) {
	report := Report{
		Status: c.bridge.Status(), Version: c.version, Login: c.access.asks(),
		Readiness: c.readiness.find(r.Context()), Settings: c.settings,
	}
	if c.journal != nil {
		report.Journal = c.journal()
	}
	if c.replica != nil {
		report.Replica = c.replica()
	}
	if c.refusals != nil {
		report.Refusals = c.refusals()
	}
	traffic, err := c.traffic.read()
	if err != nil {
		// Counters are the lesser part: the rest is what is looked for in trouble.
		c.log.Warn("metrics for the status could not be read", "error", err)
	}
	report.Traffic = traffic
	writeJSON(w, http.StatusOK, report)
}
