//go:build e2e

package sandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// mostPicture keeps the documents small.
const mostPicture = 200_000

// TestConsumersSide looks at the consumer's side in Chromium: what the simulator's
// agent sends from the agent's page, as Layer's web-xdk shows it, and the survey.
// E2E_SHOTS=docs/images keeps the pictures.
func TestConsumersSide(t *testing.T) {
	chromium, shots := browser(t)
	public := freeAddress(t)
	base, _ := secure(t, public)
	s := start(t, public, "LAYER_PUBLIC_URL="+base, "LAYER_ORIGINS=https://consumer.example", "CHATWOOTAPI_CSAT=true", "LPBRIDGE_PUBLIC_URL="+base)
	node(t, "../browser", "drive.mjs", "BASE_URL="+base+"/layer", "PUBLIC_URL="+s.public, "SIM_URL="+s.simulator,
		"CONSUMER_KEY="+consumerKey, "SHOTS="+shots, "CHROMIUM="+chromium)
	kept(t, shots, "layer-card.png", "layer-place.png", "survey.png")
}

// TestConsole looks at the operator's side in Chromium, while all is well and in an
// outage.
func TestConsole(t *testing.T) {
	chromium, shots := browser(t)
	s := start(t, freeAddress(t))
	node(t, "../browser", "console.mjs", "ADMIN_URL="+s.admin, "PUBLIC_URL="+s.public, "SIM_URL="+s.simulator, "SHOTS="+shots, "CHROMIUM="+chromium)
	kept(t, shots, "console-well.png", "console-outage.png", "console-narrow.png")
}

// browser finds Chromium, and where pictures go.
func browser(t *testing.T) (chromium, shots string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is not installed: apt-get install chromium")
	}
	shots = t.TempDir()
	if kept := os.Getenv("E2E_SHOTS"); kept != "" {
		shots, _ = filepath.Abs(filepath.Join("../..", kept))
	}
	return chromium, shots
}

// kept checks that pictures were made and are small.
func kept(t *testing.T, shots string, names ...string) {
	t.Helper()
	for _, name := range names {
		file, err := os.Stat(filepath.Join(shots, name))
		if err != nil || file.Size() > mostPicture {
			t.Errorf("%s: %v, %v", name, file, err)
		}
	}
}
