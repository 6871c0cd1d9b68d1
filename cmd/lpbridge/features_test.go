package main

import (
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
)

// TestFeaturesFollowFromTheChannels: nothing declared means that no card, quick
// reply or survey ever comes.
func TestFeaturesFollowFromTheChannels(t *testing.T) {
	words := "AUTO_MESSAGES RICH_CONTENT QUICK_REPLIES MULTI_DIALOG"
	tests := []struct {
		name      string
		variables map[string]string
		want      string
	}{
		{"a channel with a way back", map[string]string{"WEBHOOK_URL": "https://channel.example/events"}, words},
		{"and an address for files", map[string]string{"WEBHOOK_URL": "https://channel.example/events", "LPBRIDGE_PUBLIC_URL": "https://bridge.example"}, words + " PHOTO_SHARING FILE_SHARING"},
		{"a channel that uploads", map[string]string{
			"LPBRIDGE_CHANNELS": "chatwoot", "CHATWOOT_BASE_URL": "https://chat.example", "CHATWOOT_ACCOUNT_ID": "1", "CHATWOOT_TOKEN": "t", "CHATWOOT_SECRETS": "s",
		}, words + " PHOTO_SHARING FILE_SHARING"},
		{"and one that does not", map[string]string{
			"LPBRIDGE_CHANNELS": "webhook,chatwoot", "WEBHOOK_URL": "https://channel.example/events",
			"CHATWOOT_BASE_URL": "https://chat.example", "CHATWOOT_ACCOUNT_ID": "1", "CHATWOOT_TOKEN": "t", "CHATWOOT_SECRETS": "s",
		}, words},
		{"no channel with a way back", nil, ""},
		{"as the operator says", map[string]string{"WEBHOOK_URL": "https://channel.example/events", "LP_FEATURES": "QUICK_REPLIES"}, "QUICK_REPLIES"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			variables := map[string]string{
				"LP_ACCOUNT_ID": "1", "LP_CLIENT_ID": "c", "LP_CLIENT_SECRET": "s",
				"LPBRIDGE_CHANNELS": "webhook", "WEBHOOK_TOKEN": "a-token-long-enough-for-anyone",
			}
			maps.Copy(variables, test.variables)
			s, err := loadSettings(environment{lookup: envconfig.MapLookuper(variables), stderr: io.Discard})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.features()
			if err != nil || !slices.Equal(got, strings.Fields(test.want)) {
				t.Errorf("declared %v, %v, want %s", got, err, test.want)
			}
		})
	}
}
