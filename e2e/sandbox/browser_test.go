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
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is not installed: apt-get install chromium")
	}
	shots := t.TempDir()
	if kept := os.Getenv("E2E_SHOTS"); kept != "" {
		shots, _ = filepath.Abs(filepath.Join("../..", kept))
	}
	public := freeAddress(t)
	base, _ := secure(t, public)
	s := start(t, public, "LAYER_PUBLIC_URL="+base, "LAYER_ORIGINS=https://consumer.example", "CHATWOOTAPI_CSAT=true", "LPBRIDGE_PUBLIC_URL="+base)
	node(t, "../browser", "drive.mjs", "BASE_URL="+base+"/layer", "PUBLIC_URL="+s.public, "SIM_URL="+s.simulator,
		"CONSUMER_KEY="+consumerKey, "SHOTS="+shots, "CHROMIUM="+chromium)
	for _, name := range []string{"layer-card.png", "survey.png"} {
		file, err := os.Stat(filepath.Join(shots, name))
		if err != nil || file.Size() > mostPicture {
			t.Errorf("%s: %v, %v", name, file, err)
		}
	}
}
