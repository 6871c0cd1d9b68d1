package main

import (
	"strings"
	"testing"

	"lpbridge/bridge"
)

// TestFilesWithoutAPublicAddress: Chatwoot is given the bytes, all others a sentence
// that says that there was a file, and the agent learns which.
func TestFilesWithoutAPublicAddress(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, map[string]string{
		"LPBRIDGE_PUBLIC_URL": "", "LP_FEATURES": "AUTO_MESSAGES,RICH_CONTENT,QUICK_REPLIES,PHOTO_SHARING,FILE_SHARING",
	})
	if shown, receipts := x.agentSends(0, allContent("")[3].sent); len(receipts) != 1 || receipts[0] != "NACK" {
		t.Errorf("the agent is told %v, want NACK", receipts)
	} else {
		for _, p := range x.parties {
			got := strings.Join(shown[p.channel], "; ")
			if uploads := p.channel == "chatwoot"; uploads != strings.Contains(got, "The shop.png") || uploads == strings.Contains(got, bridge.UnshownFile) {
				t.Errorf("%s got %s", p.channel, got)
			}
		}
	}
}
