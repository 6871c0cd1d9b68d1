//go:build e2e

package sandbox_test

import "testing"

// TestPages opens every page in Chromium: the sandbox, the simulator's page for agents,
// the console, the survey.
func TestPages(t *testing.T) {
	chromium, shots := browser(t)
	s := start(t, freeAddress(t), "CHATWOOTAPI_CSAT=true")
	node(t, "../browser", "pages.mjs", "PUBLIC_URL="+s.public, "SIM_URL="+s.simulator, "ADMIN_URL="+s.admin, "SHOTS="+shots, "CHROMIUM="+chromium)
	kept(t, shots, "sandbox.png", "sandbox-dark.png", "sandbox-390.png")
}
