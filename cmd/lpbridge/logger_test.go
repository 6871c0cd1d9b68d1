package main

import (
	"strings"
	"testing"
	"time"

	"lpbridge/config"
)

// TestDurationsAreLoggedWithUnits: nobody has to know that slog counts nanoseconds.
func TestDurationsAreLoggedWithUnits(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out strings.Builder
		newLogger(environment{stderr: &out}, config.Bridge{LogFormat: format, LogLevel: "info"}).Info("well again", "lasted", 1500*time.Millisecond)
		if !strings.Contains(strings.ReplaceAll(out.String(), `"`, ""), "lasted:1.5s") && !strings.Contains(out.String(), "lasted=1.5s") {
			t.Errorf("%s: logged %s", format, &out)
		}
	}
}
