package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lpbridge/config"
)

const (
	// notificationsPath is where LivePerson's notifications are taken.
	notificationsPath = "/webhooks/liveperson"
	// retentionTime is how long LivePerson repeats what we did not answer, in
	// seconds: its longest, so that an outage of ours of less than that loses
	// nothing. LPBRIDGE_DEDUPE_RETENTION covers it.
	retentionTime = 259200
)

// notificationTypes are the five that LivePerson knows; what is not listed is
// not delivered. See "Configuration" in the Webhooks guide.
var notificationTypes = []string{
	"ms.MessagingEventNotification.ContentEvent",
	"ms.MessagingEventNotification.RichContentEvent",
	"ms.MessagingEventNotification.AcceptStatusEvent",
	"ms.MessagingEventNotification.ChatStateEvent",
	"cqm.ExConversationChangeNotification",
}

// manifest is an app installation as LivePerson takes it.
type manifest struct {
	ClientName   string   `json:"client_name"`
	Description  string   `json:"description"`
	GrantTypes   []string `json:"grant_types"`
	Scope        string   `json:"scope"`
	Capabilities struct {
		Webhooks   map[string]any `json:"webhooks"`
		Engagement engagement     `json:"engagement"`
	} `json:"capabilities"`
}

// engagement is what a campaign may set for engagements of this app. LivePerson's
// default manifest has these values; with them an engagement can name the app as
// its source.
type engagement struct {
	DesignEngagement  bool     `json:"design_engagement"`
	DesignWindow      bool     `json:"design_window"`
	EntryPoint        []string `json:"entry_point"`
	ConsumerIdentity  []string `json:"consumer_identity"`
	LanguageSelection bool     `json:"language_selection"`
}

// longestName is how many characters LivePerson takes of a client_name.
const longestName = 128

const manifestHelp = `Print the app installation that LivePerson needs, with the addresses of this bridge:
LPBRIDGE_PUBLIC_URL must be set. Give it to your LivePerson contact or paste it into
the connector app hub; the answer has LP_CLIENT_ID and LP_CLIENT_SECRET.
docs/liveperson.md tells the whole way.`

func manifestCommand(env environment) *cobra.Command {
	name := "lpbridge"
	command := plain(env, "manifest", "Print the app installation that LivePerson needs, as JSON", manifestHelp,
		func(_ context.Context, env environment) error { return printManifest(env, name) })
	command.Flags().StringVar(&name, "name", name, "client_name, which must be unique in the account")
	return command
}

// printManifest says what LivePerson has to know of this bridge. It needs no
// credential, for there is none before the app is installed.
func printManifest(env environment, name string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > longestName {
		return fmt.Errorf("%w: --name must have 1 to %d characters", errUsage, longestName)
	}
	var section struct {
		Bridge config.Bridge `env:",prefix=LPBRIDGE_"`
	}
	l := config.NewLoader(env.lookup)
	l.Load("", &section)
	public := section.Bridge.PublicURL
	switch {
	case public == nil:
		l.Add(errors.New("LPBRIDGE_PUBLIC_URL: is required: it is where LivePerson sends notifications"))
	case public.Scheme != "https":
		l.Add(errors.New("LPBRIDGE_PUBLIC_URL: must be https: LivePerson sends notifications to nothing else"))
	}
	if err := l.Err(); err != nil {
		return err
	}
	m := manifest{
		ClientName: name, Description: "Relays between chat channels and LivePerson.",
		GrantTypes: []string{"client_credentials"}, Scope: "msg.consumer",
	}
	m.Capabilities.Engagement = engagement{EntryPoint: []string{"section"}, ConsumerIdentity: []string{"auth"}}
	m.Capabilities.Webhooks = map[string]any{"retry": map[string]int{"retention_time": retentionTime}}
	for _, name := range notificationTypes {
		m.Capabilities.Webhooks[name] = map[string]string{"endpoint": public.JoinPath(notificationsPath).String()}
	}
	out := json.NewEncoder(env.stdout)
	out.SetIndent("", "  ")
	return out.Encode(m)
}
