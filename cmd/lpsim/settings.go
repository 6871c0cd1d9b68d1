package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"lpbridge/config"
	"lpbridge/connector/lpsim"
)

// prefix begins the name of every variable.
const prefix = "LPSIM_"

// settings are the environment. The client secret is one of tests and may be written down.
type settings struct {
	Listen           string        `env:"LISTEN,default=127.0.0.1:8090" desc:"Address of everything."`
	CAFile           string        `env:"CA_FILE" desc:"Serve https on the same port as plain HTTP; the certificate of the authority made for this run is written to this file, for connectors to trust."`
	Host             string        `env:"HOST" desc:"host:port of the base URIs in domain answers, such as the name of a container; else that of the request."`
	Account          string        `env:"ACCOUNT_ID,default=sandbox" desc:"Account."`
	ClientID         string        `env:"CLIENT_ID,default=sandbox-client" desc:"App install id."`
	ClientSecret     string        `env:"CLIENT_SECRET,default=sandbox-secret" desc:"Secret of the app, and key of webhook signatures."`
	Admin            string        `env:"ADMIN,default=admin" desc:"Login name of the account's administrator, who may have any password."`
	WebhookURL       string        `env:"WEBHOOK_URL" desc:"Where all five event types go."`
	WebhookRetries   int           `env:"WEBHOOK_RETRIES,default=0" desc:"Retries by number, 30 s apart, at most 5."`
	WebhookRetention int           `env:"WEBHOOK_RETENTION,default=0" desc:"Retries by time to live instead, in seconds (2 to 259200)."`
	WebhookSHA256    bool          `env:"WEBHOOK_SHA256,default=false" desc:"Sign with sha256= instead of sha1=."`
	Survey           bool          `env:"SURVEY,default=false" desc:"The account has a post-conversation survey."`
	EchoTyping       time.Duration `env:"ECHO,default=0s" desc:"Let a scripted agent answer every message after typing this long."`
	MaxTranscript    int           `env:"MAX_TRANSCRIPT,default=2000" desc:"Events kept of each conversation."`
	Seed             int           `env:"SEED,default=0" min:"0" desc:"Seed of the faults."`
	Faults           string        `env:"FAULTS" desc:"Faults as JSON, as in PUT /sim/faults."`
	Channel          string        `env:"CHANNEL_LISTEN,default=127.0.0.1:8091" desc:"For run: address of the channel, where the connector brings what agents do."`
	ChannelToken     string        `env:"CHANNEL_TOKEN" desc:"For run: bearer token between channel and connector, in both directions; without one the channel takes events from this machine only."`
}

// variables lists them for the help.
func variables() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, v := range config.Reference(new(settings), prefix) {
		fallback := ""
		if v.Default != "" {
			fallback = " Default " + v.Default + "."
		}
		fmt.Fprintf(w, "%s\t%s%s\n", v.Name, v.Description, fallback)
	}
	w.Flush()
	return text.String()
}

// load reads the environment. A variable that looks like one of ours and is none is an error: nobody else has any.
func load(env environment) (lpsim.Config, settings, error) {
	var s settings
	loader := config.NewLoader(env.lookup)
	loader.Load(prefix, &s)
	for _, unknown := range loader.Report().Warnings(env.all) {
		loader.Add(unknown)
	}
	if err := loader.Err(); err != nil {
		return lpsim.Config{}, s, err
	}
	c, err := s.config()
	if err != nil {
		loader.Add(err)
	}
	return c, s, loader.Err()
}

func (s settings) config() (lpsim.Config, error) {
	var faults lpsim.Faults
	if s.Faults != "" {
		var err error
		if faults, err = lpsim.ParseFaults([]byte(s.Faults)); err != nil {
			return lpsim.Config{}, fmt.Errorf("LPSIM_FAULTS: %w", err)
		}
	}
	if s.Seed != 0 {
		faults.Seed = uint64(s.Seed)
	}
	c := lpsim.Config{
		Host: s.Host, Account: s.Account, ClientID: s.ClientID, ClientSecret: s.ClientSecret, Admin: s.Admin, Faults: faults, MaxTranscript: s.MaxTranscript,
		Webhooks: lpsim.Webhooks{URL: s.WebhookURL, MaxRetries: s.WebhookRetries, RetentionSeconds: s.WebhookRetention, SHA256: s.WebhookSHA256},
	}
	if s.EchoTyping > 0 {
		c.Script = lpsim.Echo(s.EchoTyping)
	}
	if s.Survey {
		c.Survey = lpsim.DefaultSurvey()
	}
	if s.MaxTranscript < 1 {
		return c, errors.New("LPSIM_MAX_TRANSCRIPT: want a number above 0")
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", variable(err), err)
	}
	return c, nil
}

// variable names what an operator must change for an error of the configuration.
func variable(err error) string {
	names := map[string]string{
		"url": "LPSIM_WEBHOOK_URL", "maxRetries": "LPSIM_WEBHOOK_RETRIES", "retentionSeconds": "LPSIM_WEBHOOK_RETENTION",
		"Account": "LPSIM_ACCOUNT_ID", "ClientID": "LPSIM_CLIENT_ID", "rules[0].typeMs": "LPSIM_ECHO",
	}
	if field, ok := errors.AsType[*lpsim.FieldError](err); ok && names[field.Field] != "" {
		return names[field.Field]
	}
	return "environment"
}
